//! One row of the file, typed. A value that the file's description does not name is an error.

use jiff::civil::Date;

use super::field::Field;
use super::parse_error::ParseError;

/// The columns, in the file's order.
pub const COLUMNS: [&str; 10] =
    ["trans_id", "account_id", "date", "type", "operation", "amount", "balance", "k_symbol", "bank", "account"];

/// One transaction of one customer's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// The bank's number of the transaction, unique.
    pub trans_id: u32,
    /// The bank's number of the customer's account.
    pub account_id: u32,
    /// The day of posting; the file has no time of day.
    pub date: Date,
    /// Whether the customer's account rises or falls.
    pub direction: Direction,
    /// How the money moved.
    pub operation: Operation,
    /// How much moved, hellers, always positive.
    pub amount_minor: i64,
    /// The bank's own balance after it, hellers, below zero when overdrawn.
    pub balance_minor: i64,
    /// What it was for, where the bank says so.
    pub k_symbol: Option<KSymbol>,
}

/// Column `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// PRIJEM: into the customer's account.
    In,
    /// VYDAJ or VYBER: out of it.
    Out,
}

/// Column `operation`, with the partner for those that have one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// VKLAD.
    CashDeposit,
    /// VYBER; fees and penalties too are booked so, told apart by the k-symbol.
    CashWithdrawal,
    /// VYBER KARTOU.
    CardWithdrawal,
    /// PREVOD Z UCTU.
    TransferIn(Partner),
    /// PREVOD NA UCET.
    TransferOut(Partner),
    /// Empty: the bank's own posting. In this file that is interest credited and nothing else.
    Interest,
}

/// The other side of a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partner {
    /// Two capital letters.
    pub bank: String,
    /// Digits.
    pub account: String,
}

/// Column `k_symbol`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KSymbol {
    /// UROK.
    Interest,
    /// SLUZBY.
    StatementFee,
    /// SANKC. UROK.
    PenaltyInterest,
    /// SIPO.
    Household,
    /// POJISTNE.
    Insurance,
    /// UVER.
    Loan,
    /// DUCHOD.
    Pension,
}

impl Transaction {
    /// The transaction on line `line` (counted from 1, for error messages).
    ///
    /// # Errors
    /// When a column is missing or does not hold what the file's description says; the first such is named.
    pub fn parse(line: usize, text: &str) -> Result<Self, ParseError> {
        let [trans_id, account_id, date, kind, operation, amount, balance, k_symbol, bank, account] =
            columns(line, text)?;
        let direction = parse_direction(kind)?;
        let k_symbol_value = parse_k_symbol(k_symbol)?;
        let operation_value = parse_operation(operation, bank, account)?;
        if direction != operation_value.direction() {
            return Err(operation.error("an operation of the same direction as the type"));
        }
        if operation_value == Operation::Interest && k_symbol_value != Some(KSymbol::Interest) {
            return Err(k_symbol.error("UROK, as the operation is empty"));
        }
        let amount_minor = amount.minor_units()?;
        if amount_minor <= 0 {
            return Err(amount.error("an amount above zero"));
        }
        Ok(Self {
            trans_id: trans_id.id()?,
            account_id: account_id.id()?,
            date: date.date()?,
            direction,
            operation: operation_value,
            amount_minor,
            balance_minor: balance.minor_units()?,
            k_symbol: k_symbol_value,
        })
    }
}

impl Operation {
    fn direction(&self) -> Direction {
        match self {
            Self::CashDeposit | Self::TransferIn(_) | Self::Interest => Direction::In,
            Self::CashWithdrawal | Self::CardWithdrawal | Self::TransferOut(_) => Direction::Out,
        }
    }
}

fn columns(line: usize, text: &str) -> Result<[Field<'_>; 10], ParseError> {
    let fields: Vec<Field<'_>> = text.split(';').zip(COLUMNS).map(|(raw, name)| Field { line, name, raw }).collect();
    match <[Field<'_>; 10]>::try_from(fields) {
        Ok(fields) if text.matches(';').count() + 1 == COLUMNS.len() => Ok(fields),
        _ => Err(Field { line, name: "line", raw: text }.error("10 columns separated by semicolons")),
    }
}

fn parse_direction(field: Field<'_>) -> Result<Direction, ParseError> {
    match field.text()? {
        "PRIJEM" => Ok(Direction::In),
        "VYDAJ" | "VYBER" => Ok(Direction::Out),
        _ => Err(field.error("PRIJEM, VYDAJ or VYBER")),
    }
}

fn parse_operation(field: Field<'_>, bank: Field<'_>, account: Field<'_>) -> Result<Operation, ParseError> {
    let operation = match field.text()? {
        "PREVOD Z UCTU" => return Ok(Operation::TransferIn(parse_partner(bank, account)?)),
        "PREVOD NA UCET" => return Ok(Operation::TransferOut(parse_partner(bank, account)?)),
        "VKLAD" => Operation::CashDeposit,
        "VYBER" => Operation::CashWithdrawal,
        "VYBER KARTOU" => Operation::CardWithdrawal,
        "" => Operation::Interest,
        _ => return Err(field.error("VKLAD, VYBER, VYBER KARTOU, PREVOD Z UCTU, PREVOD NA UCET or nothing")),
    };
    if !bank.text()?.is_empty() {
        return Err(bank.error("nothing, as the operation is no transfer"));
    }
    match account.text()? {
        "" | "0" => Ok(operation),
        _ => Err(account.error("nothing or 0, as the operation is no transfer")),
    }
}

fn parse_partner(bank: Field<'_>, account: Field<'_>) -> Result<Partner, ParseError> {
    let (bank_code, number) = (bank.text()?, account.text()?);
    if bank_code.len() != 2 || !bank_code.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(bank.error("the partner's bank, two capital letters"));
    }
    if number.is_empty() || number.len() > 20 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(account.error("the partner's account, 1 to 20 digits"));
    }
    Ok(Partner { bank: bank_code.to_owned(), account: number.to_owned() })
}

fn parse_k_symbol(field: Field<'_>) -> Result<Option<KSymbol>, ParseError> {
    Ok(Some(match field.text()? {
        "" | " " => return Ok(None),
        "UROK" => KSymbol::Interest,
        "SLUZBY" => KSymbol::StatementFee,
        "SANKC. UROK" => KSymbol::PenaltyInterest,
        "SIPO" => KSymbol::Household,
        "POJISTNE" => KSymbol::Insurance,
        "UVER" => KSymbol::Loan,
        "DUCHOD" => KSymbol::Pension,
        _ => return Err(field.error("a k-symbol of the file's description, or nothing")),
    }))
}
