//! Avro's logical types as people write them: decimals, uuids, dates and times.

use apache_avro::schema::DecimalSchema;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use uuid::Uuid;

/// The type of a decimal: a whole number, of whose digits some stand after the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecimalType {
    /// Most digits, before and after the point together.
    pub precision: usize,
    /// How many of the digits stand after the point.
    pub scale: usize,
}

impl DecimalType {
    /// Most digits. serde_avro_fast carries decimals in 96 bits, which hold 28 digits.
    pub const MAX_DIGITS: usize = 28;
    /// Most bytes of a decimal's datum, for the same reason.
    pub(crate) const MAX_BYTES: usize = 16;

    /// Reads a text such as `-12.50`.
    ///
    /// # Errors
    /// When the text is not a decimal, or has more digits than the type: it would have to be rounded.
    pub fn parse(self, text: &str) -> Result<Decimal, String> {
        let shown = || shown(text);
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = match unsigned.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return Err(format!("{} has a point and no digits after it", shown())),
            None => (unsigned, ""),
        };
        if whole.is_empty() || !(whole.bytes().chain(fraction.bytes())).all(|b| b.is_ascii_digit()) {
            return Err(format!("{} is not a decimal, such as \"12.50\"", shown()));
        }
        let scale = self.scale;
        if fraction.len() > scale {
            return Err(format!("{} has more digits after the point than {self}", shown()));
        }
        let digits = format!("{whole}{fraction:0<scale$}");
        let number = digits.parse::<i128>().ok().map(|number| if unsigned == text { number } else { -number });
        self.decimal(number).ok_or_else(|| format!("{} has more digits than {self}", shown()))
    }

    /// Reads the bytes of a datum: two's complement, big-endian.
    ///
    /// # Errors
    /// When there are no bytes, or the number has more digits than the type.
    pub fn from_bytes(self, bytes: &[u8]) -> Result<Decimal, String> {
        let [first, ..] = bytes else { return Err("a decimal has no bytes".to_owned()) };
        let mut extended = [if first & 0x80 == 0 { 0 } else { 0xff }; Self::MAX_BYTES];
        let start = Self::MAX_BYTES.checked_sub(bytes.len());
        let number = start.map(|start| {
            extended[start..].copy_from_slice(bytes);
            i128::from_be_bytes(extended)
        });
        self.decimal(number).ok_or_else(|| format!("the number has more digits than {self}"))
    }

    fn decimal(self, number: Option<i128>) -> Option<Decimal> {
        let most = u32::try_from(self.precision).ok().and_then(|digits| 10_u128.checked_pow(digits));
        let number = number.filter(|number| most.is_none_or(|most| number.unsigned_abs() < most))?;
        Some(Decimal { number, scale: self.scale })
    }
}

impl std::fmt::Display for DecimalType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a decimal({}, {})", self.precision, self.scale)
    }
}

impl From<&DecimalSchema> for DecimalType {
    fn from(schema: &DecimalSchema) -> Self {
        Self { precision: schema.precision, scale: schema.scale }
    }
}

/// A decimal of some [`DecimalType`]. Its text has all digits after the point, so that equal ones look the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    number: i128,
    scale: usize,
}

impl Decimal {
    /// The bytes of its datum, as few as possible.
    pub(crate) fn bytes(self) -> Vec<u8> {
        let bytes = self.number.to_be_bytes();
        let sign = if self.number < 0 { 0xff } else { 0 };
        let is_needed = |at: &usize| bytes[*at] != sign || (bytes[at + 1] ^ sign) & 0x80 != 0;
        let start = (0..bytes.len() - 1).find(is_needed).unwrap_or(bytes.len() - 1);
        bytes[start..].to_vec()
    }
}

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.number < 0 { "-" } else { "" };
        let digits = format!("{:0>width$}", self.number.unsigned_abs(), width = self.scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - self.scale);
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}

/// The beginning of a text, in quotes.
fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(40).collect::<String>())
}

/// Reads a uuid in its one canonical form, so that equal ones have equal bytes.
///
/// # Errors
/// When the text has another form.
pub fn parse_uuid(text: &str) -> Result<Uuid, String> {
    let uuid = text.parse::<Uuid>().ok().filter(|uuid| uuid.to_string() == text);
    uuid.ok_or_else(|| {
        let shown = shown(text);
        format!("{shown} is not a uuid in lower case, such as \"0b5c24a1-9d2e-4f4a-8a53-6d0b7c1e2f30\"")
    })
}

/// Reads a date, such as `2026-11-25`: days since 1970.
///
/// # Errors
/// When the text has another form.
pub(crate) fn parse_date(text: &str) -> Result<i32, String> {
    let date = Date::strptime("%Y-%m-%d", text);
    let date = date.map_err(|_| format!("{} is not a date, such as \"2026-11-25\"", shown(text)))?;
    let days = date.duration_since(Date::constant(1970, 1, 1)).as_hours() / 24;
    i32::try_from(days).map_err(|error| error.to_string())
}

/// The unit of a time's number.
#[derive(Debug, Clone, Copy)]
pub(crate) enum TimeUnit {
    Millis,
    Micros,
    Nanos,
}

impl TimeUnit {
    /// How many of the unit a second has.
    fn per_second(self) -> i64 {
        match self {
            Self::Millis => 1_000,
            Self::Micros => 1_000_000,
            Self::Nanos => 1_000_000_000,
        }
    }

    fn of_nanos(self, nanos: i128) -> Option<i64> {
        i64::try_from(nanos / (1_000_000_000 / i128::from(self.per_second()))).ok()
    }

    /// Reads an instant, such as `2026-11-25T09:30:00Z`; what is finer than the unit is cut off.
    pub fn instant(self, text: &str) -> Result<i64, String> {
        let instant = text.parse::<Timestamp>();
        let instant =
            instant.map_err(|_| format!("{} is not a time, such as \"2026-11-25T09:30:00Z\"", shown(text)))?;
        self.number(instant)
    }

    /// Reads a date and time without a time zone, such as `2026-11-25T09:30:00`.
    pub fn local(self, text: &str) -> Result<i64, String> {
        let local = DateTime::strptime("%Y-%m-%dT%H:%M:%S%.f", text);
        let local =
            local.map_err(|_| format!("{} is not a local time, such as \"2026-11-25T09:30:00\"", shown(text)))?;
        self.number(TimeZone::UTC.to_timestamp(local).map_err(|error| error.to_string())?)
    }

    fn number(self, instant: Timestamp) -> Result<i64, String> {
        let number = self.of_nanos(instant.as_nanosecond());
        number.ok_or_else(|| format!("{instant} would not fit into 64 bits"))
    }

    /// Reads a time of day, such as `09:30:00`.
    pub fn time_of_day(self, text: &str) -> Result<i64, String> {
        let time = Time::strptime("%H:%M:%S%.f", text);
        let time = time.map_err(|_| format!("{} is not a time of day, such as \"09:30:00\"", shown(text)))?;
        let nanos = time.duration_since(Time::midnight()).as_nanos();
        self.of_nanos(nanos).ok_or_else(|| format!("{time} would not fit into 64 bits"))
    }

    /// Checks that a number is a time of day.
    pub fn check_time_of_day(self, number: i64) -> Result<(), String> {
        let is_within = (0..24 * 60 * 60 * self.per_second()).contains(&number);
        if is_within { Ok(()) } else { Err(format!("{number} is not a time of day: it is outside of a day")) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MONEY: DecimalType = DecimalType { precision: 6, scale: 2 };

    #[test]
    fn a_decimal_is_exact_or_refused() {
        for (text, shown) in [
            ("12.50", "12.50"),
            ("12.5", "12.50"),
            ("-0.01", "-0.01"),
            ("-0", "0.00"),
            ("007", "7.00"),
            ("9999.99", "9999.99"),
        ] {
            assert_eq!(MONEY.parse(text).unwrap().to_string(), shown);
        }
        let whole = DecimalType { precision: 3, scale: 0 };
        assert_eq!(whole.parse("-12").unwrap().to_string(), "-12");
        for (text, problem) in [
            ("12.505", "has more digits after the point than a decimal(6, 2)"),
            ("10000", "has more digits than a decimal(6, 2)"),
            (&"9".repeat(100), "has more digits than a decimal(6, 2)"),
            ("", "is not a decimal"),
            ("-", "is not a decimal"),
            ("+1", "is not a decimal"),
            ("1e3", "is not a decimal"),
            (".5", "is not a decimal"),
            ("1.", "no digits after it"),
            ("--1", "is not a decimal"),
            ("١", "is not a decimal"),
        ] {
            let refused = MONEY.parse(text).unwrap_err();
            assert!(refused.contains(problem), "{text}: {refused}");
        }
    }

    #[test]
    fn a_decimals_bytes_are_as_few_as_possible_and_more_are_read() {
        let number = |bytes: &[u8]| MONEY.from_bytes(bytes).unwrap();
        for (text, bytes) in [
            ("0", &[0][..]),
            ("1.27", &[127]),
            ("1.28", &[0, 128]),
            ("-0.01", &[255]),
            ("-1.28", &[128]),
            ("-1.29", &[255, 127]),
        ] {
            assert_eq!(MONEY.parse(text).unwrap().bytes(), bytes);
            assert_eq!(number(bytes), MONEY.parse(text).unwrap());
            let sign = if bytes[0] & 0x80 == 0 { 0 } else { 255 };
            assert_eq!(number(&[&[sign; 10], bytes].concat()), number(bytes));
        }
        assert!(MONEY.from_bytes(&[]).is_err());
        assert!(MONEY.from_bytes(&[0; 17]).is_err());
        assert!(MONEY.from_bytes(&[0x0f, 0x42, 0x40]).unwrap_err().contains("more digits than a decimal(6, 2)"));
    }

    proptest! {
        #[test]
        fn a_decimal_is_read_back_from_its_text_and_its_bytes(number in -(10_i128.pow(28) - 1)..10_i128.pow(28), scale in 0..=28_usize) {
            let type_ = DecimalType { precision: 28, scale };
            let decimal = Decimal { number, scale };
            prop_assert_eq!(type_.parse(&decimal.to_string()), Ok(decimal));
            prop_assert_eq!(type_.from_bytes(&decimal.bytes()), Ok(decimal));
        }
    }

    #[test]
    fn a_uuid_has_one_form() {
        let canonical = "0b5c24a1-9d2e-4f4a-8a53-6d0b7c1e2f30";
        assert_eq!(parse_uuid(canonical).unwrap().to_string(), canonical);
        for other in [&canonical.to_uppercase(), &canonical.replace('-', ""), &format!("{{{canonical}}}"), "", "42"] {
            assert!(parse_uuid(other).is_err(), "{other}");
        }
    }

    #[test]
    fn times_are_read_from_iso_texts() {
        assert_eq!(parse_date("1970-01-02"), Ok(1));
        assert_eq!(parse_date("1969-12-31"), Ok(-1));
        assert_eq!(TimeUnit::Millis.time_of_day("00:00:01.5"), Ok(1_500));
        assert_eq!(TimeUnit::Micros.time_of_day("23:59:59.999999"), Ok(86_399_999_999));
        assert_eq!(TimeUnit::Millis.local("1970-01-01T00:00:01"), Ok(1_000));
        assert_eq!(TimeUnit::Nanos.instant("1970-01-01T00:00:00.000000001Z"), Ok(1));
        assert!(TimeUnit::Nanos.instant("2300-01-01T00:00:00Z").unwrap_err().contains("64 bits"));
        for other in ["1970-01-01T00:00:00Z", "1970-01-01T00:00:00+02:00", "1970-01-01", "00:00:00"] {
            assert!(TimeUnit::Micros.local(other).is_err(), "{other}");
        }
        assert!(TimeUnit::Millis.time_of_day("24:00:00").is_err());
        assert!(TimeUnit::Millis.check_time_of_day(86_399_999).is_ok());
        assert!(TimeUnit::Millis.check_time_of_day(86_400_000).is_err());
        assert!(TimeUnit::Micros.check_time_of_day(-1).is_err());
    }
}
