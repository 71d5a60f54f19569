//! Cuts Maven's output into lines.

/// Collects blocks of output and gives out whole lines. A carriage return also ends a line, since Maven uses it to
/// overwrite a line on a terminal.
#[derive(Default)]
pub(super) struct MavenLines {
    open: Vec<u8>,
}

impl MavenLines {
    /// The lines that this block completes, without blank ones and without trailing spaces.
    pub(super) fn add(&mut self, block: &[u8]) -> Vec<String> {
        let mut whole = Vec::new();
        for byte in block {
            if !matches!(byte, b'\r' | b'\n') {
                self.open.push(*byte);
                continue;
            }
            let line = String::from_utf8_lossy(&std::mem::take(&mut self.open)).trim_end().to_owned();
            if !line.is_empty() {
                whole.push(line);
            }
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_cut_at_both_kinds_of_ends_wherever_a_block_ends() {
        let mut lines = MavenLines::default();
        assert_eq!(lines.add(b"Progress (1): 1/2 kB\rProgr"), ["Progress (1): 1/2 kB"]);
        assert_eq!(lines.add(b"ess (1): 2/2 kB\r      \r\n[INFO] a\n"), ["Progress (1): 2/2 kB", "[INFO] a"]);
    }
}
