//! The types of an expression, as far as they are known before a token is there. `cel` itself finds
//! such mistakes only when it evaluates, which is when a run needs its token.

use std::collections::{BTreeMap, BTreeSet};

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators,
};

use super::functions::{RE2_MATCHES, template_of};
use super::kind::Kind;
use super::{Dialect, re2};

/// Evaluation takes up to 40 kB of stack for each level, and has 2 MB.
const DEEPEST: usize = 24;

/// How many `all`, `exists`, `map` or `filter` may be inside each other in a policy, and how many items
/// a list may have that is written there: both are far above any policy, and what they allow is done in
/// a moment.
const DEEPEST_LOOP: usize = 2;
const LONGEST_LIST: usize = 1_000;

/// The names of types, to compare `type(…)` with.
const TYPES: &[&str] = &[
    "bool", "bytes", "double", "int", "list", "map", "string", "uint",
];

/// What is wrong, and with which node.
pub(super) struct Fault {
    pub(super) id: u64,
    pub(super) message: String,
}

fn fault<T>(id: u64, message: impl Into<String>) -> Result<T, Fault> {
    Err(Fault {
        id,
        message: message.into(),
    })
}

/// Finds what an expression gives.
///
/// # Errors
/// A name, function or type that does not fit, and the node that it is in.
pub(super) fn check(expression: &IdedExpr, dialect: Dialect) -> Result<Kind, Fault> {
    let mut checker = Checker {
        dialect,
        variables: BTreeMap::new(),
        loops: 0,
        depth: 0,
    };
    checker.check(expression)
}

struct Checker {
    dialect: Dialect,
    /// The variables of `all`, `exists`, `map` and `filter` around this place.
    variables: BTreeMap<String, Kind>,
    /// How many of those are around this place.
    loops: usize,
    /// How many expressions are around this place.
    depth: usize,
}

impl Checker {
    fn check(&mut self, node: &IdedExpr) -> Result<Kind, Fault> {
        if self.depth >= DEEPEST {
            return fault(
                node.id,
                "is nested too deeply; split it into several conditions",
            );
        }
        self.depth += 1;
        let kind = self.kind(node);
        self.depth -= 1;
        kind
    }

    fn kind(&mut self, node: &IdedExpr) -> Result<Kind, Fault> {
        match &node.expr {
            Expr::Call(call) => self.call(node.id, call),
            Expr::Comprehension(comprehension) => self.comprehension(node.id, comprehension),
            Expr::Ident(name) => {
                let known = self.dialect.variables();
                match self.variables.get(name) {
                    _ if known.contains(&name.as_str()) => Ok(Kind::Map),
                    Some(kind) => Ok(*kind),
                    None if !self.is_bounded() && TYPES.contains(&name.as_str()) => Ok(Kind::Type),
                    None => fault(
                        node.id,
                        format!(
                            "`{name}` is not known; a token's claims are under `{}`",
                            known[0]
                        ),
                    ),
                }
            }
            Expr::List(list) if list.elements.len() > LONGEST_LIST => fault(
                node.id,
                format!("a list of more than {LONGEST_LIST} items is not evaluated here"),
            ),
            Expr::List(list) => {
                for element in &list.elements {
                    self.check(element)?;
                }
                Ok(Kind::List)
            }
            Expr::Literal(literal) => Ok(match literal {
                LiteralValue::Boolean(_) => Kind::Bool,
                LiteralValue::Bytes(_) => Kind::Bytes,
                LiteralValue::Double(_) => Kind::Double,
                LiteralValue::Int(_) => Kind::Int,
                LiteralValue::Null => Kind::Null,
                LiteralValue::String(_) => Kind::Text,
                LiteralValue::UInt(_) => Kind::Uint,
            }),
            Expr::Select(select) => match self.check(&select.operand)? {
                Kind::Any | Kind::Map | Kind::Optional if select.test => Ok(Kind::Bool),
                Kind::Any | Kind::Map => Ok(Kind::Any),
                Kind::Optional => Ok(Kind::Optional),
                other => fault(
                    node.id,
                    format!("{} has no member `{}`", other.name(), select.field),
                ),
            },
            Expr::Map(map) if !self.is_bounded() => {
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else {
                        return fault(node.id, "messages cannot be made here");
                    };
                    self.check(&entry.key)?;
                    self.check(&entry.value)?;
                }
                Ok(Kind::Map)
            }
            Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => fault(
                node.id,
                "maps and messages cannot be made here; conditions and names need none",
            ),
        }
    }

    fn comprehension(&mut self, id: u64, node: &ComprehensionExpr) -> Result<Kind, Fault> {
        match self.check(&node.iter_range)? {
            Kind::Any | Kind::List | Kind::Map => {}
            other => {
                return fault(
                    node.iter_range.id,
                    format!("{} has no elements", other.name()),
                );
            }
        }
        if self.loops > 0 && self.is_bounded() {
            // A token may hold lists of thousands; one inside another would be millions of steps.
            return fault(
                id,
                "one `all`, `exists`, `map` or `filter` inside another is not allowed",
            );
        }
        if self.loops >= DEEPEST_LOOP && !self.is_bounded() {
            return fault(
                id,
                format!(
                    "more than {DEEPEST_LOOP} of `all`, `exists`, `map` and `filter` inside each \
                     other are not evaluated here"
                ),
            );
        }
        // `optMap` is a loop over nothing.
        let is_loop =
            !matches!(&node.iter_range.expr, Expr::List(list) if list.elements.is_empty());
        let accumulator = self.check(&node.accu_init)?;
        let around = self.variables.clone();
        self.variables.insert(node.iter_var.clone(), Kind::Any);
        if let Some(second) = &node.iter_var2 {
            self.variables.insert(second.clone(), Kind::Any);
        }
        self.variables.insert(node.accu_var.clone(), accumulator);
        self.loops += usize::from(is_loop);
        let result = self
            .check(&node.loop_cond)
            .and_then(|_| self.check(&node.loop_step))
            .and_then(|_| self.check(&node.result));
        self.loops -= usize::from(is_loop);
        self.variables = around;
        result
    }

    fn call(&mut self, id: u64, call: &CallExpr) -> Result<Kind, Fault> {
        let name = qualified(call);
        let target = match &call.target {
            Some(target) if name == call.func_name => Some(self.check(target)?),
            _ => None,
        };
        let mut kinds = Vec::with_capacity(call.args.len());
        for argument in &call.args {
            kinds.push(self.check(argument)?);
        }
        if self.loops > 0 && self.is_bounded() {
            check_in_loop(id, call)?;
        }
        if target.is_none()
            && let Some(result) = operator(&call.func_name, &kinds)
        {
            return result.or_else(|message| fault(id, message));
        }
        let functions = || self.dialect.functions();
        let of_that_name = || functions().filter(|(known, ..)| *known == name);
        if of_that_name().next().is_none() {
            let known = functions().map(|(known, ..)| *known);
            let known: BTreeSet<_> = known.filter(|name| *name != RE2_MATCHES).collect();
            let known: Vec<_> = known.into_iter().collect();
            return fault(
                id,
                format!(
                    "there is no function `{name}`; there are {}",
                    known.join(", ")
                ),
            );
        }
        let fits = |wanted: Option<Kind>, arguments: &[Kind]| {
            let on_target = match (wanted, target) {
                (Some(wanted), Some(target)) => wanted.may_be(target),
                (None, None) => true,
                _ => false,
            };
            on_target
                && arguments.len() == kinds.len()
                && arguments.iter().zip(&kinds).all(|(a, b)| a.may_be(*b))
        };
        let Some((.., result)) = of_that_name().find(|(_, wanted, args, _)| fits(*wanted, args))
        else {
            let on = target.map_or_else(String::new, |target| format!(" of {}", target.name()));
            let with: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
            return fault(
                id,
                format!(
                    "there is no `{}`{on} with ({})",
                    name.trim_start_matches('@'),
                    with.join(", ")
                ),
            );
        };
        match name.as_str() {
            "extract" => check_template(&call.args)?,
            "matches" | RE2_MATCHES => check_pattern(&call.args, self.is_bounded())?,
            "replace" if self.is_bounded() => check_written(&call.args)?,
            _ => {}
        }
        Ok(*result)
    }

    /// Strangers' tokens are held against our own rules, so these must not cost much.
    fn is_bounded(&self) -> bool {
        self.dialect == Dialect::Rule
    }
}

/// A token may hold thousands of elements: what is done for each must cost next to nothing.
fn check_in_loop(id: u64, call: &CallExpr) -> Result<(), Fault> {
    let name = call.func_name.as_str();
    let is_list = |node: &IdedExpr| matches!(node.expr, Expr::List(_));
    if ["join", "matches", "replace", "split"].contains(&name) {
        return fault(
            id,
            format!("`{name}` is not allowed inside `all`, `exists`, `map` or `filter`"),
        );
    }
    if name == operators::IN && !call.args.get(1).is_some_and(is_list) {
        return fault(
            id,
            "inside `all`, `exists`, `map` or `filter`, `in` takes a list that is written here",
        );
    }
    Ok(())
}

/// What is replaced, and by what, is written down: a claim in its place could make a text of any size.
fn check_written(arguments: &[IdedExpr]) -> Result<(), Fault> {
    let is_text = |node: &IdedExpr| matches!(node.expr, Expr::Literal(LiteralValue::String(_)));
    match arguments.iter().find(|argument| !is_text(argument)) {
        Some(argument) => fault(argument.id, "this text must be written here, in quotes"),
        None => Ok(()),
    }
}

/// In a rule a regular expression is written down, not taken from a claim, so that it can be checked now.
/// One in a policy is RE2's.
fn check_pattern(arguments: &[IdedExpr], is_bounded: bool) -> Result<(), Fault> {
    let Some(argument) = arguments.last() else {
        return Ok(());
    };
    let Expr::Literal(LiteralValue::String(pattern)) = &argument.expr else {
        if is_bounded {
            return fault(argument.id, "a pattern must be written here, in quotes");
        }
        return Ok(());
    };
    if is_bounded {
        regex::Regex::new(pattern.inner())
            .map(drop)
            .or_else(|error| fault(argument.id, format!("is no regular expression: {error}")))
    } else {
        re2(pattern.inner())
            .map(drop)
            .or_else(|why| fault(argument.id, format!("a pattern {why}")))
    }
}

/// A template that is written down is checked now.
fn check_template(arguments: &[IdedExpr]) -> Result<(), Fault> {
    let Some(argument) = arguments.first() else {
        return Ok(());
    };
    let Expr::Literal(LiteralValue::String(template)) = &argument.expr else {
        return Ok(());
    };
    template_of(template.inner())
        .map(drop)
        .or_else(|rule| fault(argument.id, format!("a template {rule}")))
}

/// The name of a function, with its library: `optional.of` is parsed as a call on `optional`.
fn qualified(call: &CallExpr) -> String {
    match call.target.as_deref().map(|target| &target.expr) {
        Some(Expr::Ident(library)) if library == "optional" => {
            format!("{library}.{}", call.func_name)
        }
        _ => call.func_name.clone(),
    }
}

/// What an operator gives; nothing if the name is none of an operator.
fn operator(name: &str, kinds: &[Kind]) -> Option<Result<Kind, String>> {
    let all = |kind: Kind| kinds.iter().all(|found| found.may_be(kind));
    let (first, second) = (
        kinds.first().copied().unwrap_or(Kind::Any),
        kinds.get(1).copied().unwrap_or(Kind::Any),
    );
    let two = || format!("{} and {}", first.name(), second.name());
    let comparable = first.may_be(second) || (first.is_number() && second.is_number());
    let refuse = |what: &str| Err(format!("{what} {}", two()));
    let result = match name {
        operators::LOGICAL_AND
        | operators::LOGICAL_OR
        | operators::LOGICAL_NOT
        | operators::NOT_STRICTLY_FALSE
            if all(Kind::Bool) =>
        {
            Ok(Kind::Bool)
        }
        operators::LOGICAL_AND | operators::LOGICAL_OR => {
            refuse("`&&` and `||` need true or false on both sides, not")
        }
        operators::LOGICAL_NOT | operators::NOT_STRICTLY_FALSE => {
            Err(format!("`!` needs true or false, not {}", first.name()))
        }
        operators::NEGATE if first.is_number() => Ok(first),
        operators::NEGATE => Err(format!("`-` needs a number, not {}", first.name())),
        operators::EQUALS | operators::NOT_EQUALS => {
            if comparable || [first, second].contains(&Kind::Null) {
                Ok(Kind::Bool)
            } else {
                refuse("these are never equal:")
            }
        }
        operators::LESS
        | operators::LESS_EQUALS
        | operators::GREATER
        | operators::GREATER_EQUALS => {
            let has_order = |kind| {
                !matches!(
                    kind,
                    Kind::List | Kind::Map | Kind::Null | Kind::Optional | Kind::Type
                )
            };
            if comparable && has_order(first) && has_order(second) {
                Ok(Kind::Bool)
            } else {
                refuse("there is no order between")
            }
        }
        operators::ADD => {
            let can = |kind| {
                !matches!(
                    kind,
                    Kind::Bool | Kind::Map | Kind::Null | Kind::Optional | Kind::Type
                )
            };
            if first.may_be(second) && can(first) && can(second) {
                Ok(if first == Kind::Any { second } else { first })
            } else {
                refuse("`+` does not take")
            }
        }
        operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE | operators::MODULO => {
            if first.is_number() && second.is_number() && first.may_be(second) {
                Ok(if first == Kind::Any { second } else { first })
            } else {
                refuse("there is no arithmetic with")
            }
        }
        operators::CONDITIONAL => {
            let third = kinds.get(2).copied().unwrap_or(Kind::Any);
            if first.may_be(Kind::Bool) {
                Ok(second.join(third))
            } else {
                Err(format!(
                    "`?` needs true or false before it, not {}",
                    first.name()
                ))
            }
        }
        operators::IN => match second {
            Kind::Any | Kind::List | Kind::Map => Ok(Kind::Bool),
            other => Err(format!(
                "`in` needs a list or a map after it, not {}",
                other.name()
            )),
        },
        operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT => {
            member(name, first, second)
        }
        _ => return None,
    };
    Some(result)
}

/// What `[…]`, `[?…]` and `.?` give.
fn member(name: &str, of: Kind, index: Kind) -> Result<Kind, String> {
    let found = if name == operators::INDEX {
        Kind::Any
    } else {
        Kind::Optional
    };
    match (of, index) {
        (Kind::Optional, _) => Ok(Kind::Optional),
        (Kind::Any | Kind::Map, _) | (Kind::List, Kind::Any | Kind::Int | Kind::Uint) => Ok(found),
        (Kind::List, other) => Err(format!("a list's index is a number, not {}", other.name())),
        (other, _) => Err(format!("{} has no `[…]`", other.name())),
    }
}
