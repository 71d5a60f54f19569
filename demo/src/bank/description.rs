//! A transaction in plain English, so that `search` has words to find.

use super::transaction::{KSymbol, Operation, Transaction};

/// What happened, with the bank's own word for it where it has one, and the partner of a transfer.
pub fn description(transaction: &Transaction) -> String {
    match (&transaction.operation, transaction.k_symbol) {
        (Operation::CashWithdrawal, Some(KSymbol::StatementFee)) => "Statement fee".to_owned(),
        (Operation::CashWithdrawal, Some(KSymbol::PenaltyInterest)) => "Penalty interest".to_owned(),
        (Operation::Interest, _) => "Interest credited".to_owned(),
        (Operation::CashDeposit, k_symbol) => with_purpose("Cash deposit", k_symbol),
        (Operation::CashWithdrawal, k_symbol) => with_purpose("Cash withdrawal", k_symbol),
        (Operation::CardWithdrawal, k_symbol) => with_purpose("Card withdrawal", k_symbol),
        (Operation::TransferIn(partner), k_symbol) => {
            let what = k_symbol.map_or("Transfer", purpose);
            format!("{what} from bank {} account {}", partner.bank, partner.account)
        }
        (Operation::TransferOut(partner), k_symbol) => {
            let what = k_symbol.map_or("Transfer", purpose);
            format!("{what} to bank {} account {}", partner.bank, partner.account)
        }
    }
}

fn with_purpose(what: &str, k_symbol: Option<KSymbol>) -> String {
    k_symbol.map_or_else(|| what.to_owned(), |k_symbol| format!("{what}: {}", purpose(k_symbol)))
}

fn purpose(k_symbol: KSymbol) -> &'static str {
    match k_symbol {
        KSymbol::Interest => "Interest (UROK)",
        KSymbol::StatementFee => "Statement fee (SLUZBY)",
        KSymbol::PenaltyInterest => "Penalty interest (SANKC. UROK)",
        KSymbol::Household => "Household payment (SIPO)",
        KSymbol::Insurance => "Insurance payment (POJISTNE)",
        KSymbol::Loan => "Loan payment (UVER)",
        KSymbol::Pension => "Old-age pension (DUCHOD)",
    }
}
