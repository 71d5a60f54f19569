//! Numbers in here come from awk and Python over `trans.asc`, not from this module.

use std::collections::HashSet;

use jiff::civil::date;
use millrace_domains::ledger::{Entry, LedgerCommand, PostEntrySet};

use super::commands::{BankCommand, Commands};
use super::expected::{Agreement, DayTotal, account_ends, balances, busiest, daily_totals};
use super::file::{parse, read};
use super::transaction::{Direction, KSymbol, Operation, Partner, Transaction};

const HEADER: &str =
    r#""trans_id";"account_id";"date";"type";"operation";"amount";"balance";"k_symbol";"bank";"account""#;
const CASH_IN: &str = r#"695247;2378;930101;"PRIJEM";"VKLAD";700.00;700.00;"";;"#;
const TRANSFER: &str = r#"1;2;940228;"VYDAJ";"PREVOD NA UCET";2452.10;-3.05;"SIPO";"YZ";"87144583""#;

fn entry_set(command: &BankCommand) -> &PostEntrySet {
    match &command.command {
        LedgerCommand::PostEntrySet(set) => set,
        other => panic!("{other:?} is no entry set"),
    }
}

fn refusal(line: &str) -> String {
    parse(&format!("{HEADER}\r\n{CASH_IN}\r\n{line}\r\n")).unwrap_err().to_string()
}

#[test]
fn the_whole_file_is_read() {
    let rows = read().unwrap();
    assert_eq!(rows.len(), 49_102);
    assert_eq!(rows.iter().map(|row| row.trans_id).collect::<HashSet<_>>().len(), 49_102);
    assert_eq!(rows.iter().map(|row| row.account_id).collect::<HashSet<_>>().len(), 1_229);
    assert!(rows.is_sorted_by_key(|row| row.date));
    let total =
        |direction| -> i64 { rows.iter().filter(|row| row.direction == direction).map(|row| row.amount_minor).sum() };
    assert_eq!(total(Direction::In), 17_736_629_630);
    assert_eq!(total(Direction::Out), 13_812_015_350);
    assert_eq!(rows.iter().map(|row| row.balance_minor).sum::<i64>(), 171_241_877_560);
}

#[test]
fn a_line_becomes_a_typed_row() {
    let partner = Partner { bank: "YZ".into(), account: "87144583".into() };
    let row = Transaction {
        trans_id: 1,
        account_id: 2,
        date: date(1994, 2, 28),
        direction: Direction::Out,
        operation: Operation::TransferOut(partner),
        amount_minor: 245_210,
        balance_minor: -305,
        k_symbol: Some(KSymbol::Household),
    };
    assert_eq!(Transaction::parse(2, TRANSFER), Ok(row));
}

#[test]
fn a_malformed_line_is_refused_by_line_and_field() {
    for (from, to, field) in [
        ("695247", "x", "trans_id"),
        ("695247", "", "trans_id"),
        ("2378", "02378", "account_id"),
        ("2378", "99999999999", "account_id"),
        ("930101", "930230", "date"),
        ("930101", "93011", "date"),
        ("930101", "9301é", "date"),
        ("\"PRIJEM\"", "\"PRIJMY\"", "type"),
        ("\"PRIJEM\"", "PRIJEM", "type"),
        ("\"PRIJEM\"", "\"", "type"),
        ("PRIJEM", "VYDAJ", "operation"),
        ("VKLAD", "VKLADY", "operation"),
        ("VKLAD", "", "k_symbol"),
        ("VKLAD", "PREVOD Z UCTU", "bank"),
        (";700.00;700", ";700;700", "amount"),
        (";700.00;700", ";700.0;700", "amount"),
        (";700.00;700", ";.00;700", "amount"),
        (";700.00;700", ";0.00;700", "amount"),
        (";700.00;700", ";-7.00;700", "amount"),
        (";700.00;700", ";7e2.00;700", "amount"),
        (";700.00;700.00", ";700.00;92233720368547758.08", "balance"),
        (";700.00;700.00", ";700.00;--7.00", "balance"),
        ("\"\"", "\"XXX\"", "k_symbol"),
        (";;", ";\"AB\";", "bank"),
        (";;", ";;\"7\"", "account"),
        (";;", ";", "line"),
        (";;", ";;;", "line"),
        (CASH_IN, "", "line"),
    ] {
        let line = CASH_IN.replacen(from, to, 1);
        let error = refusal(&line);
        assert!(error.starts_with(&format!("trans.asc, line 3, {field}: ")), "{line}: {error}");
    }
    let error = refusal(&TRANSFER.replace("87144583", ""));
    assert!(error.starts_with("trans.asc, line 3, account: "), "{error}");
}

#[test]
fn the_largest_and_smallest_amounts_are_exact() {
    let balance = |text: &str| {
        Transaction::parse(2, &CASH_IN.replace(";700.00;700.00", &format!(";700.00;{text}"))).unwrap().balance_minor
    };
    assert_eq!(balance("92233720368547758.07"), i64::MAX);
    assert_eq!(balance("-92233720368547758.08"), i64::MIN);
    assert_eq!(balance("-0.05"), -5);
}

#[test]
fn a_file_without_its_header_is_refused() {
    for text in ["", CASH_IN] {
        let error = parse(text).unwrap_err();
        assert_eq!((error.line, error.field), (1, "line"));
    }
}

#[test]
fn each_command_has_its_own_id_and_each_set_sums_to_zero() {
    let commands = Commands::new(&read().unwrap());
    assert_eq!(commands.opens.len(), 1_229 + 18);
    assert_eq!(commands.entry_sets.len(), 49_102);
    let all = || commands.opens.iter().chain(&commands.entry_sets);
    assert_eq!(all().map(|command| &command.command_id).collect::<HashSet<_>>().len(), 1_247 + 49_102);
    let opened: HashSet<&str> = commands.opens.iter().map(|open| open.first_stream.as_str()).collect();
    for command in &commands.entry_sets {
        let set = entry_set(command);
        assert_eq!(set.entries.iter().map(|entry| entry.amount_minor).sum::<i64>(), 0, "{set:?}");
        assert_eq!(set.entry_set_id, command.command_id);
        assert_eq!(command.first_stream, format!("account-{}", set.entries[0].account_id));
        assert!(set.entries.iter().all(|entry| opened.contains(format!("account-{}", entry.account_id).as_str())));
    }
}

#[test]
fn a_transaction_becomes_an_entry_set_against_the_right_account() {
    let row = Transaction::parse(2, TRANSFER).unwrap();
    let commands = Commands::new(&[row]);
    let ids: Vec<&str> = commands.opens.iter().map(|open| open.command_id.as_str()).collect();
    assert_eq!(ids, ["czech-bank-open-other-bank-YZ", "czech-bank-open-2"]);
    let expected = PostEntrySet {
        entry_set_id: "czech-bank-1".into(),
        reporting_at: 762_393_600_000_000,
        description: "Household payment (SIPO) to bank YZ account 87144583".into(),
        entries: vec![
            Entry { account_id: "2".into(), amount_minor: -245_210 },
            Entry { account_id: "other-bank-YZ".into(), amount_minor: 245_210 },
        ],
    };
    assert_eq!(entry_set(&commands.entry_sets[0]), &expected);
}

#[test]
fn descriptions_read_as_english() {
    for (line, expected) in [
        (CASH_IN, "Cash deposit"),
        (r#"1;2;930101;"PRIJEM";"";18.90;1.00;"UROK";;"#, "Interest credited"),
        (r#"1;2;930101;"VYBER";"VYBER";18.90;1.00;"";;"#, "Cash withdrawal"),
        (r#"1;2;930101;"VYDAJ";"VYBER";18.90;1.00;"SLUZBY";;"#, "Statement fee"),
        (r#"1;2;930101;"VYDAJ";"VYBER";18.90;1.00;"SANKC. UROK";;"#, "Penalty interest"),
        (r#"1;2;930101;"VYDAJ";"VYBER";18.90;1.00;"SIPO";"";"0""#, "Cash withdrawal: Household payment (SIPO)"),
        (r#"1;2;930101;"VYDAJ";"VYBER KARTOU";18.90;1.00;"";"";"0""#, "Card withdrawal"),
        (r#"1;2;930101;"VYDAJ";"PREVOD NA UCET";18.90;1.00;" ";"AB";"7""#, "Transfer to bank AB account 7"),
        (
            r#"1;2;930101;"PRIJEM";"PREVOD Z UCTU";18.90;1.00;"DUCHOD";"AB";"7""#,
            "Old-age pension (DUCHOD) from bank AB account 7",
        ),
    ] {
        let commands = Commands::new(&[Transaction::parse(2, line).unwrap()]);
        assert_eq!(entry_set(&commands.entry_sets[0]).description, expected);
    }
}

#[test]
fn balances_are_those_that_awk_finds() {
    let balances = balances(&read().unwrap());
    assert_eq!(balances.len(), 1_247);
    assert_eq!(balances.values().sum::<i64>(), 0);
    for (account, minor) in [
        ("cards", 2_720_000),
        ("cash-desk", -1_412_965_750),
        ("fees", 9_345_500),
        ("interest", -125_691_580),
        ("other-bank-AB", -82_561_120),
        ("other-bank-YZ", -236_679_620),
        ("penalty-interest", 46_670),
        ("485", 1_739_120),
        ("2938", 9_047_160),
    ] {
        assert_eq!(balances.get(account), Some(&minor), "{account}");
    }
}

#[test]
fn entry_sets_fold_to_the_same_balances() {
    let rows = read().unwrap();
    let mut expected = balances(&rows);
    let commands = Commands::new(&rows);
    for entry in commands.entry_sets.iter().flat_map(|command| &entry_set(command).entries) {
        *expected.get_mut(&entry.account_id).unwrap() -= entry.amount_minor;
    }
    assert!(expected.values().all(|rest| *rest == 0));
}

#[test]
fn daily_totals_are_those_that_awk_finds() {
    let days = daily_totals(&read().unwrap());
    assert_eq!(days.len(), 455);
    for (day, minor, transactions) in [
        (date(1993, 1, 1), 320_000, 4),
        (date(1993, 1, 31), 4_610_160, 41),
        (date(1993, 12, 31), 66_354_540, 1_754),
        (date(1994, 3, 31), 86_070_300, 2_105),
    ] {
        let expected = DayTotal { credits_minor: minor, debits_minor: minor, entries: 2 * transactions };
        assert_eq!(days.get(&day), Some(&expected), "{day}");
    }
}

#[test]
fn sums_agree_with_the_bank_but_for_the_day_cut_off() {
    let ends = account_ends(&read().unwrap());
    let agreement = Agreement::of(&ends);
    assert_eq!((agreement.accounts, agreement.exact, agreement.rounding), (1_229, 598, 603));
    assert_eq!(agreement.beyond.len(), 28);
    let differences: Vec<i64> = agreement.beyond.iter().map(|end| end.difference_minor()).collect();
    assert_eq!((differences.iter().min(), differences.iter().max()), (Some(&6_040), Some(&33_220)));
    assert!(agreement.beyond.iter().all(|end| end.last_day == date(1994, 3, 31)));
    let rounding = ends.iter().map(|end| end.difference_minor().abs()).filter(|difference| *difference <= 100).max();
    assert_eq!(rounding, Some(80));
}

#[test]
fn the_busiest_accounts_are_within_ten_hellers_of_the_bank() {
    let busiest = busiest(account_ends(&read().unwrap()), 5);
    let found: Vec<_> =
        busiest.iter().map(|end| (end.account_id, end.transactions, end.sum_minor, end.bank_minor)).collect();
    assert_eq!(
        found,
        [
            (485, 131, 1_739_120, 1_739_110),
            (5622, 130, 7_365_240, 7_365_240),
            (2762, 124, 3_337_670, 3_337_680),
            (1801, 121, 7_785_600, 7_785_590),
            (3834, 114, 1_698_120, 1_698_110),
        ]
    );
}
