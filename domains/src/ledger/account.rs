//! The state of an account, folded from its events.

use millrace_writer::Rejection;

use super::LedgerEvent;

/// An account, from before its opening to after its closing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Account {
    /// Never opened.
    #[default]
    Absent,
    /// Open for entries.
    Open(OpenedAccount),
    /// Closed for good.
    Closed,
}

/// An account that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedAccount {
    /// ISO 4217 alphabetic code. Accounts do not share it: it is one short allocation.
    pub currency: Box<str>,
    /// How far below zero the balance may go, in minor units; `None`: no limit.
    pub overdraft_limit: Option<i64>,
    /// In minor units of the currency.
    pub balance: i64,
}

impl Account {
    /// The account, which must be open.
    ///
    /// # Errors
    /// A rejection that says why it is not open.
    pub fn opened(&self, account_id: &str) -> Result<&OpenedAccount, Rejection> {
        match self {
            Self::Open(account) => Ok(account),
            Self::Absent => {
                Err(Rejection::new("account_not_found", format!("Account {account_id} has not been opened.")))
            }
            Self::Closed => Err(Rejection::new("account_closed", format!("Account {account_id} is closed."))),
        }
    }

    /// Applies an event.
    pub fn evolve(&mut self, event: &LedgerEvent) {
        match event {
            LedgerEvent::AccountOpened(opened) => {
                *self = Self::Open(OpenedAccount {
                    currency: opened.currency.as_str().into(),
                    overdraft_limit: opened.overdraft_limit_minor,
                    balance: 0,
                });
            }
            LedgerEvent::EntryPosted(posted) => {
                if let Self::Open(account) = self {
                    // never saturates: `post` decides only sums that fit
                    account.balance = account.balance.saturating_add(posted.amount_minor);
                }
            }
            LedgerEvent::AccountClosed(_) => *self = Self::Closed,
        }
    }
}
