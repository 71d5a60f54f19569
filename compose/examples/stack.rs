//! manual trying
use millrace_compose::*;
#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let mut o = StackOptions::default();
    if let Ok(d) = std::env::var("D") {
        o.data_dir = d.into()
    }
    if let Ok(d) = std::env::var("C") {
        o.cache_dir = d.into()
    }
    if let Ok(d) = std::env::var("P") {
        let v: Vec<Option<u16>> = d.split(',').map(|x| x.parse().ok()).collect();
        o.ports = Ports { postgres: v[0], kafka: v[1], kafka_controller: v[2], registry: v[3] };
    }
    let t = std::time::Instant::now();
    let r = run(&args, &o).await;
    if let Err(e) = r {
        eprintln!("ERROR: {e}");
        std::process::exit(1)
    }
    eprintln!("took {:.2?}", t.elapsed());
}
async fn run(args: &[String], o: &StackOptions) -> Result<()> {
    let c = Console::new();
    match args[1].as_str() {
        "up" => {
            let s = tokio::spawn({
                let o = o.clone();
                async move { Stack::up(&o, &Console::new()).await }
            })
            .await
            .unwrap()?;
            println!("{:?}\n{}", s.addresses(), s.addresses().postgres_url);
        }
        "down" => println!("{:?}", Stack::down_in(&o.data_dir, &c).await?),
        "ps" => println!("{:?}", Stack::open(&o.data_dir)?.running()),
        "stop" => println!("{:?}", Stack::open(&o.data_dir)?.stop(&args[2]).await?),
        "kill" => println!("{:?}", Stack::open(&o.data_dir)?.kill(&args[2]).await?),
        "svc" => println!(
            "{:?}",
            Stack::open(&o.data_dir)?
                .start_service(
                    &args[2],
                    std::path::Path::new(&args[3]),
                    &args[4..].to_vec(),
                    &[("X".into(), "1".into())]
                )
                .await?
        ),
        "destroy" => Stack::open(&o.data_dir)?.destroy().await?,
        x => panic!("{x}"),
    }
    Ok(())
}
