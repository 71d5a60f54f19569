//! One column of one line, with its name and place for the error message.

use jiff::civil::Date;

use super::parse_error::ParseError;

/// The text between two semicolons.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    pub line: usize,
    pub name: &'static str,
    pub raw: &'a str,
}

impl<'a> Field<'a> {
    pub fn error(&self, expected: &'static str) -> ParseError {
        ParseError { line: self.line, field: self.name, found: self.raw.to_owned(), expected }
    }

    /// Quoted text without its quotes; nothing at all counts as empty text, as the file has both for the same.
    pub fn text(&self) -> Result<&'a str, ParseError> {
        if self.raw.is_empty() {
            return Ok("");
        }
        self.raw
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .filter(|text| !text.contains('"'))
            .ok_or_else(|| self.error("text in double quotes"))
    }

    /// A positive number without a leading zero, so that its text and its value name the same thing.
    pub fn id(&self) -> Result<u32, ParseError> {
        let plain = self.raw.bytes().all(|byte| byte.is_ascii_digit()) && !self.raw.starts_with('0');
        let id = if plain { self.raw.parse().ok() } else { None };
        id.ok_or_else(|| self.error("a positive whole number"))
    }

    /// A day of the 20th century, YYMMDD.
    pub fn date(&self) -> Result<Date, ParseError> {
        let date = match self.raw.as_bytes() {
            [y1, y2, m1, m2, d1, d2] => civil_date([[*y1, *y2], [*m1, *m2], [*d1, *d2]]),
            _ => None,
        };
        date.ok_or_else(|| self.error("a day as YYMMDD"))
    }

    /// Crowns with two decimals as hellers, digit by digit: a float would round them.
    pub fn minor_units(&self) -> Result<i64, ParseError> {
        minor_units(self.raw).ok_or_else(|| self.error("an amount with two decimals"))
    }
}

fn civil_date([year, month, day]: [[u8; 2]; 3]) -> Option<Date> {
    let [year, month, day] = [two_digits(year)?, two_digits(month)?, two_digits(day)?];
    Date::new(1900 + i16::from(year), month, day).ok()
}

fn two_digits([tens, ones]: [u8; 2]) -> Option<i8> {
    let value = |digit: u8| digit.is_ascii_digit().then(|| (digit - b'0').cast_signed());
    Some(value(tens)? * 10 + value(ones)?)
}

fn minor_units(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, cents) = digits.split_once('.')?;
    if whole.is_empty() || cents.len() != 2 {
        return None;
    }
    whole.bytes().chain(cents.bytes()).try_fold(0_i64, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| i64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(sign * digit)
    })
}
