//! The bank's side of each transaction: which of its own accounts takes the counter-entry.

use super::transaction::{KSymbol, Operation, Transaction};

/// Id of the internal account that a transaction moves against. Customers' ids are numbers, these are words.
///
/// Each partner bank has its own account, as banks keep them, and so that transfers do not all queue for one stream.
pub fn internal_account(transaction: &Transaction) -> String {
    match (&transaction.operation, transaction.k_symbol) {
        (Operation::TransferIn(partner) | Operation::TransferOut(partner), _) => format!("other-bank-{}", partner.bank),
        (Operation::CardWithdrawal, _) => "cards".to_owned(),
        (Operation::Interest, _) => "interest".to_owned(),
        (Operation::CashWithdrawal, Some(KSymbol::StatementFee)) => "fees".to_owned(),
        (Operation::CashWithdrawal, Some(KSymbol::PenaltyInterest)) => "penalty-interest".to_owned(),
        (Operation::CashDeposit | Operation::CashWithdrawal, _) => "cash-desk".to_owned(),
    }
}
