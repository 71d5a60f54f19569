//! Finds few events that show a problem which many have shown.

/// Leaves out items, as long as what remains still shows the problem.
///
/// # Errors
/// The first error of `shows`.
pub(crate) async fn reduced<T: Clone, E>(
    mut items: Vec<T>,
    mut shows: impl AsyncFnMut(&[T]) -> Result<bool, E>,
) -> Result<Vec<T>, E> {
    let mut size = items.len() / 2;
    let mut before = items.len();
    while size > 0 {
        let mut start = 0;
        while start < items.len() {
            let end = items.len().min(start + size);
            let mut fewer = items.clone();
            fewer.drain(start..end);
            if !fewer.is_empty() && shows(&fewer).await? {
                items = fewer;
            } else {
                start += 1;
            }
        }
        size /= 2;
        // what could not be left out before may be by now
        if size == 0 && items.len() < before {
            before = items.len();
            size = items.len() / 2;
        }
    }
    pair_of(items, shows).await
}

/// Two of the items, if two show the problem: others may stand between them that can only be left out together.
async fn pair_of<T: Clone, E>(items: Vec<T>, mut shows: impl AsyncFnMut(&[T]) -> Result<bool, E>) -> Result<Vec<T>, E> {
    for (index, first) in items.iter().enumerate() {
        for second in items.iter().skip(index + 1) {
            let pair = [first.clone(), second.clone()];
            if shows(&pair).await? {
                return Ok(pair.to_vec());
            }
        }
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_does_not_matter_is_left_out() {
        let shows = async |items: &[u32]| Ok::<_, ()>(items.contains(&17) && items.contains(&42));
        assert_eq!(reduced((0..100).collect(), shows).await, Ok(vec![17, 42]));
        let together =
            async |items: &[u32]| Ok::<_, ()>(matches!(items, [0, .., 7]) && [2, 6, 8].contains(&items.len()));
        assert_eq!(reduced((0..8).collect(), together).await, Ok(vec![0, 7]));
    }
}
