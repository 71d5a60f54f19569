//! The operators that expressions have, and how they are checked.

use cel::common::ast::{CallExpr, Expr, operators};
use cel::parser::Expression;

use super::check::{Checked, Checker};
use super::evaluate::{Comparison, Node};
use super::types::Type;

impl Checker<'_> {
    /// Checks the use of an operator, a function or a macro.
    pub fn call(&mut self, call: &CallExpr, wanted: Option<&Type>) -> Checked {
        match (&*call.func_name, &*call.args) {
            (operators::CONDITIONAL, [condition, yes, no]) => {
                let condition = self.wanted(condition, &Type::Bool, "the condition before `?`").node;
                let (yes, no) = (self.expression(yes, wanted), self.expression(no, wanted));
                match yes.type_.join(&no.type_) {
                    Some(type_) => Checked { node: Node::If(Box::new([condition, yes.node, no.node])), type_ },
                    None => {
                        self.problem(format!("`? :` gives {} or {}: both must be of one type", yes.type_, no.type_))
                    }
                }
            }
            (operators::LOGICAL_AND, [left, right]) => self.logic("&&", left, right, Node::And),
            (operators::LOGICAL_OR, [left, right]) => self.logic("||", left, right, Node::Or),
            (operators::LOGICAL_NOT, [inner]) => {
                let inner = self.wanted(inner, &Type::Bool, "what follows `!`").node;
                Checked { node: Node::Not(Box::new(inner)), type_: Type::Bool }
            }
            (operators::NEGATE, [inner]) => {
                let inner = self.expression(inner, None);
                match inner.type_.present() {
                    type_ @ (Type::Int | Type::Double | Type::Unknown) => {
                        Checked { type_: type_.clone(), node: Node::Negate(Box::new(inner.node)) }
                    }
                    other => self.problem(format!("`-` can't stand before {other}{}", hint_of_carried(&[other]))),
                }
            }
            (operators::ADD, [left, right]) => self.arithmetic('+', left, right),
            (operators::SUBSTRACT, [left, right]) => self.arithmetic('-', left, right),
            (operators::MULTIPLY, [left, right]) => self.arithmetic('*', left, right),
            (operators::DIVIDE, [left, right]) => self.arithmetic('/', left, right),
            (operators::MODULO, [left, right]) => self.arithmetic('%', left, right),
            (operators::EQUALS, [left, right]) => self.compare(Comparison::Equal, left, right),
            (operators::NOT_EQUALS, [left, right]) => self.compare(Comparison::Unequal, left, right),
            (operators::LESS, [left, right]) => self.compare(Comparison::Less, left, right),
            (operators::LESS_EQUALS, [left, right]) => self.compare(Comparison::LessOrEqual, left, right),
            (operators::GREATER, [left, right]) => self.compare(Comparison::Greater, left, right),
            (operators::GREATER_EQUALS, [left, right]) => self.compare(Comparison::GreaterOrEqual, left, right),
            (operators::INDEX, [of, index]) => self.index(of, index),
            (operators::IN, [item, within]) => self.is_in(item, within),
            _ => self.function(call, wanted),
        }
    }

    fn logic(
        &mut self,
        sign: &str,
        left: &Expression,
        right: &Expression,
        make: fn(Box<[Node; 2]>) -> Node,
    ) -> Checked {
        let left = self.wanted(left, &Type::Bool, &format!("the left of `{sign}`")).node;
        let right = self.wanted(right, &Type::Bool, &format!("the right of `{sign}`")).node;
        Checked { node: make(Box::new([left, right])), type_: Type::Bool }
    }

    fn arithmetic(&mut self, operator: char, left: &Expression, right: &Expression) -> Checked {
        let (left, right) = (self.expression(left, None), self.expression(right, None));
        let type_ = match (left.type_.present(), right.type_.present()) {
            (Type::Int, Type::Int) => Type::Int,
            (Type::Double, Type::Double) if operator != '%' => Type::Double,
            (Type::Text | Type::Enum(_), Type::Text | Type::Enum(_)) if operator == '+' => Type::Text,
            (a @ Type::List(_), b @ Type::List(_)) if operator == '+' => match a.join(b) {
                Some(joined) => joined,
                None => return self.problem(format!("`+` can't join {a} and {b}")),
            },
            (Type::Unknown, known) | (known, Type::Unknown) => known.clone(),
            (a, b) => {
                let hint = if operator == '+' && (*a == Type::Text || *b == Type::Text) {
                    ": string(…) makes a text of it"
                } else {
                    hint_of_carried(&[a, b])
                };
                return self.problem(format!("`{operator}` can't take {a} and {b}{hint}"));
            }
        };
        Checked { node: Node::Arithmetic(operator, Box::new([left.node, right.node])), type_ }
    }

    fn compare(&mut self, comparison: Comparison, left: &Expression, right: &Expression) -> Checked {
        // the other side says what a literal text stands for
        let (left, right) = if matches!(left.expr, Expr::Literal(_)) {
            let right = self.expression(right, None);
            (self.expression(left, Some(&right.type_)), right)
        } else {
            let left = self.expression(left, None);
            let right = self.expression(right, Some(&left.type_));
            (left, right)
        };
        let (a, b) = (&left.type_, &right.type_);
        let comparable = match comparison {
            Comparison::Equal | Comparison::Unequal => can_be_equal(a, b),
            _ => matches!(
                (a.present(), b.present()),
                (Type::Int, Type::Int)
                    | (Type::Double, Type::Double)
                    | (Type::Text, Type::Text)
                    | (Type::Unknown, _)
                    | (_, Type::Unknown)
            ),
        };
        if !comparable {
            return self.problem(match (a, b) {
                (Type::Null, other) | (other, Type::Null) => format!("{other} is never null"),
                _ => format!("{a} can't be compared with {b}{}", hint_of_carried(&[a, b])),
            });
        }
        Checked { node: Node::Compare(comparison, Box::new([left.node, right.node])), type_: Type::Bool }
    }

    fn index(&mut self, of: &Expression, index: &Expression) -> Checked {
        let of = self.expression(of, None);
        let (wanted, type_) = match of.type_.present() {
            Type::List(items) => (Type::Int, (**items).clone()),
            Type::Map(values) => (Type::Text, (**values).clone()),
            Type::Unknown => (Type::Unknown, Type::Unknown),
            other => return self.problem(format!("`[…]` can't follow {other}")),
        };
        let index = self.wanted(index, &wanted, "what stands in `[…]`").node;
        Checked { node: Node::Index(Box::new([of.node, index])), type_ }
    }

    fn is_in(&mut self, item: &Expression, within: &Expression) -> Checked {
        let within = self.expression(within, None);
        let wanted = match within.type_.present() {
            Type::List(items) => (**items).clone(),
            Type::Map(_) => Type::Text,
            Type::Unknown => Type::Unknown,
            other => return self.problem(format!("`in` needs a list or a map on its right, not {other}")),
        };
        let item = self.wanted(item, &wanted, "the left of `in`").node;
        Checked { node: Node::In(Box::new([item, within.node])), type_: Type::Bool }
    }
}

/// Whether `==` may stand between two values.
fn can_be_equal(left: &Type, right: &Type) -> bool {
    match (left, right) {
        (Type::Null, other) | (other, Type::Null) => {
            matches!(other, Type::Nullable(_) | Type::Null | Type::Unknown)
        }
        _ => match (left.present(), right.present()) {
            // with the same digits after the point, equal numbers have equal texts
            (Type::Decimal(left), Type::Decimal(right)) => left.scale == right.scale,
            _ => left.join(right).is_some(),
        },
    }
}

/// What to say when one of the types is carried only.
pub(super) fn hint_of_carried(types: &[&Type]) -> &'static str {
    if types.iter().any(|type_| type_.is_carried()) {
        ": decimals and uuids are carried, not computed with; == and != compare them with their own type"
    } else {
        ""
    }
}
