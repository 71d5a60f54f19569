//! The functions and macros that expressions have, and how they are checked.

use cel::common::ast::{CallExpr, Expr, LiteralValue};
use cel::parser::Expression;

use super::check::{Checked, Checker};
use super::evaluate::{Each, Function, Node};
use super::pattern::Pattern;
use super::types::Type;

/// Every function and macro there is, as a message shows them.
pub(super) const FUNCTIONS: &str = "has(state.x), size(x), string(x), overflows(x), text.contains(text), \
     text.startsWith(text), text.endsWith(text), text.matches('pattern'), list.all(i, …), list.exists(i, …), \
     list.exists_one(i, …), list.filter(i, …), list.map(i, …), list.map(i, condition, …), list.sum(), list.distinct()";

impl Checker<'_> {
    /// Checks the call of a function or macro.
    pub fn function(&mut self, call: &CallExpr, wanted: Option<&Type>) -> Checked {
        match (&*call.func_name, call.target.as_deref(), &*call.args) {
            ("has", None, [field]) => self.has(field),
            ("overflows", None, [inner]) => {
                let inner = self.expression(inner, None).node;
                Checked { node: Node::Overflows(Box::new(inner)), type_: Type::Bool }
            }
            ("size", None, [of]) | ("size", Some(of), []) => self.size(of),
            ("string", None, [of]) => self.string(of),
            ("contains", Some(of), [part]) => self.text(Function::Contains, of, part),
            ("startsWith", Some(of), [part]) => self.text(Function::StartsWith, of, part),
            ("endsWith", Some(of), [part]) => self.text(Function::EndsWith, of, part),
            ("matches", Some(of), [pattern]) => self.matches(of, pattern),
            ("sum", Some(of), []) => {
                let of = self.wanted(of, &Type::List(Type::Int.into()), "what stands before .sum()").node;
                Checked { node: Node::Call(Function::Sum, vec![of]), type_: Type::Int }
            }
            ("distinct", Some(of), []) => self.distinct(of),
            ("all" | "exists" | "exists_one" | "filter", Some(list), [variable, condition]) => {
                self.over(&call.func_name, list, variable, condition)
            }
            ("map", Some(list), [variable, to]) => self.map_over(list, variable, None, to, wanted),
            ("map", Some(list), [variable, only, to]) => self.map_over(list, variable, Some(only), to, wanted),
            (name, ..) => self.problem(format!("there is no function {name} of this form; there are: {FUNCTIONS}")),
        }
    }

    fn has(&mut self, of: &Expression) -> Checked {
        let Expr::Select(select) = &of.expr else {
            return self.problem("has(…) asks about a field, such as has(state.status)".to_owned());
        };
        let record = self.expression(&select.operand, None);
        let Some((field, _)) = self.field(&record.type_, &select.field) else {
            return Checked { node: record.node, type_: Type::Bool };
        };
        match (record.type_, record.node) {
            (Type::Record(record), Node::Path { slot, fields, .. }) if record.is_state && fields.is_empty() => {
                Checked { node: Node::Has { slot, field }, type_: Type::Bool }
            }
            _ => self.problem(format!(
                "has(…) asks whether an event has set a field of a state yet; for a field that may be null write \
                 … .{} != null",
                select.field
            )),
        }
    }

    fn size(&mut self, of: &Expression) -> Checked {
        let of = self.expression(of, None);
        match of.type_.present() {
            Type::Text | Type::Enum(_) | Type::Bytes | Type::List(_) | Type::Map(_) | Type::Unknown => {
                Checked { node: Node::Call(Function::Size, vec![of.node]), type_: Type::Int }
            }
            other => self.problem(format!("{other} has no size")),
        }
    }

    fn string(&mut self, of: &Expression) -> Checked {
        let of = self.expression(of, None);
        if !is_shown(&of.type_) {
            return self.problem(format!("string(…) can't show {}", of.type_));
        }
        Checked { node: Node::Call(Function::String, vec![of.node]), type_: Type::Text }
    }

    fn text(&mut self, function: Function, of: &Expression, part: &Expression) -> Checked {
        let of = self.wanted(of, &Type::Text, "what stands before the function").node;
        let part = self.wanted(part, &Type::Text, "the argument").node;
        Checked { node: Node::Call(function, vec![of, part]), type_: Type::Bool }
    }

    fn matches(&mut self, of: &Expression, pattern: &Expression) -> Checked {
        let of = self.wanted(of, &Type::Text, "what stands before .matches()").node;
        let Expr::Literal(LiteralValue::String(pattern)) = &pattern.expr else {
            return self.problem("the pattern of matches(…) must be a literal text".to_owned());
        };
        match Pattern::compile(pattern.inner()) {
            Ok(pattern) => Checked { node: Node::Matches(Box::new(of), pattern), type_: Type::Bool },
            Err(problem) => self.problem(format!("{:?} is not a pattern: {problem}", pattern.inner())),
        }
    }

    fn distinct(&mut self, of: &Expression) -> Checked {
        let of = self.expression(of, None);
        match of.type_.present() {
            Type::List(items) if matches!(**items, Type::Int | Type::Text | Type::Enum(_) | Type::Unknown) => {
                Checked { node: Node::Call(Function::Distinct, vec![of.node]), type_: of.type_ }
            }
            Type::Unknown => of,
            other => self.problem(format!("distinct() takes a list of ints or texts, not {other}")),
        }
    }

    fn over(&mut self, name: &str, list: &Expression, variable: &Expression, condition: &Expression) -> Checked {
        let Some((list, items, slot)) = self.list_of(name, list, variable) else { return unknown() };
        let condition = Box::new(self.wanted(condition, &Type::Bool, &format!("the condition of {name}(…)")).node);
        self.locals.pop();
        let (each, type_) = match name {
            "all" => (Each::All(condition), Type::Bool),
            "exists" => (Each::Exists(condition), Type::Bool),
            "exists_one" => (Each::ExistsOne(condition), Type::Bool),
            _ => (Each::Filter(condition), Type::List(items.into())),
        };
        Checked { node: Node::Over { list: Box::new(list), slot, each }, type_ }
    }

    fn map_over(
        &mut self,
        list: &Expression,
        variable: &Expression,
        only: Option<&Expression>,
        to: &Expression,
        wanted: Option<&Type>,
    ) -> Checked {
        let Some((list, _, slot)) = self.list_of("map", list, variable) else { return unknown() };
        let only = only.map(|only| Box::new(self.wanted(only, &Type::Bool, "the condition of map(…)").node));
        let inner = match wanted.map(Type::present) {
            Some(Type::List(inner)) => Some(&**inner),
            _ => None,
        };
        let to = self.expression(to, inner);
        self.locals.pop();
        let each = Each::Map { only, to: Box::new(to.node) };
        Checked { node: Node::Over { list: Box::new(list), slot, each }, type_: Type::List(to.type_.into()) }
    }

    /// A macro's list, the type of its items, and the place of its variable, which is in scope from here on.
    fn list_of(&mut self, name: &str, list: &Expression, variable: &Expression) -> Option<(Node, Type, u16)> {
        let list = self.expression(list, None);
        let Expr::Ident(variable) = &variable.expr else {
            self.problem(format!("the first argument of {name}(…) is the name of its variable"));
            return None;
        };
        let items = match list.type_.present() {
            Type::List(items) => (**items).clone(),
            Type::Unknown => Type::Unknown,
            Type::Map(_) => {
                self.problem(format!("{name}(…) can't go over a map, whose entries have no order"));
                return None;
            }
            other => {
                self.problem(format!("{name}(…) goes over a list, not over {other}"));
                return None;
            }
        };
        let slot = self.slots.take();
        self.locals.push((variable.clone(), slot, items.clone()));
        Some((list.node, items, slot))
    }
}

/// Whether a value of the type can be part of a text.
pub(super) fn is_shown(type_: &Type) -> bool {
    let shown = [Type::Int, Type::Bool, Type::Double, Type::Text, Type::Unknown];
    shown.contains(type_.present()) || matches!(type_.present(), Type::Enum(_)) || type_.is_carried()
}

fn unknown() -> Checked {
    Checked { node: Node::List(Vec::new()), type_: Type::Unknown }
}
