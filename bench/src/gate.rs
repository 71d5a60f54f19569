//! The regression gate: the lowest ratio that each scenario may have. Ratios, not times: both sides of a ratio are
//! measured in one run on the same machine, so its speed and its noise cancel out, as far as they can.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use figment::Figment;
use figment::providers::{Format, Toml};
use millrace::Usage;
use serde::Serialize;

use crate::measured::Measured;

/// The names that may stand in a gate's file.
pub const NAMES: [&str; 11] = [
    "append",
    "writers",
    "relay",
    "project-reporting",
    "project-search",
    "rebuild-read",
    "rebuild",
    "end-to-end",
    "growth-append",
    "growth-relay",
    "growth-load",
];

/// Least ratios by name.
#[derive(Debug)]
pub struct Gate(BTreeMap<String, f64>);

/// A ratio that is too low.
#[derive(Debug, Serialize)]
pub struct Breach {
    name: &'static str,
    ratio: f64,
    least: f64,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} has a ratio of {:.2}, and the gate asks for {:.2}", self.name, self.ratio, self.least)
    }
}

impl Gate {
    /// Reads a gate's file.
    ///
    /// # Errors
    /// When the file can't be read, or has a name that is not in [`NAMES`].
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        if !path.is_file() {
            return Err(Usage(format!("there is no file {shown}")).into());
        }
        let least: BTreeMap<String, f64> =
            Figment::from(Toml::file_exact(path)).extract().map_err(|e| Usage(format!("{shown}: {e}")))?;
        match least.keys().find(|name| !NAMES.contains(&name.as_str())) {
            Some(name) => {
                Err(Usage(format!("{shown}: nothing is called {name:?}; there are {}", NAMES.join(", "))).into())
            }
            None => Ok(Self(least)),
        }
    }

    /// The measured ratios that are too low. A scenario that was not measured passes.
    pub fn breaches(&self, measured: &[Measured]) -> Vec<Breach> {
        let breach = |measured: &Measured| {
            let least = *self.0.get(measured.name)?;
            let ratio = measured.ceilings.first()?.ratio;
            (ratio.is_nan() || ratio < least).then_some(Breach { name: measured.name, ratio, least })
        };
        measured.iter().filter_map(breach).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measured::Rate;

    fn measured(name: &'static str, ours: f64) -> Measured {
        let ours = Rate::of("ours", vec![ours]);
        let ceilings = vec![Rate::of("ceiling", vec![100.0]).above(&ours)];
        Measured::new(name, String::new(), ours, ceilings)
    }

    #[test]
    fn a_ratio_below_its_gate_is_a_breach_and_one_at_it_is_not() {
        let gate = Gate(BTreeMap::from([("append".to_owned(), 0.5), ("relay".to_owned(), 0.4)]));
        let breaches = gate.breaches(&[measured("append", 49.0), measured("relay", 40.0), measured("end-to-end", 1.0)]);
        let names: Vec<&str> = breaches.iter().map(|breach| breach.name).collect();
        assert_eq!(names, ["append"]);
    }

    #[test]
    fn the_gate_that_ships_can_be_read() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops/bench-gate.toml");
        assert_eq!(Gate::read(&path).unwrap().0.len(), NAMES.len());
    }
}
