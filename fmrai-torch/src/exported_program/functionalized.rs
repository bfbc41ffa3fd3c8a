//! Operations that write their arguments, in programs that never write.

use super::compile::{Compiled, Compiler, Draft, DraftAction};
use super::flow::read;
use super::metadata;
use super::program::{Action, Example, Operand};
use super::schema::{Argument, Node};
use super::scope::Scope;
use crate::ffi::call::{CallSpec, Given, Made};

impl Compiler {
    /// An operation that writes its arguments, called on copies of them: `[results..., copies...]`.
    pub(super) fn functionalized<'g>(
        &mut self,
        scope: &mut Scope<'g>,
        node: &'g Node,
        name: &str,
    ) -> Compiled<Vec<Draft>> {
        let given = |key: &str| node.inputs.iter().find(|input| input.name == key).map(|input| &input.arg);
        let operator = node.inputs.iter().find_map(|input| match &input.arg {
            Argument::Operator(operator) => Some(operator.as_str()),
            _ => None,
        });
        let operator = operator.and_then(|o| o.strip_prefix("torch.ops.")).ok_or("it names no operation")?;
        let [namespace, base, overload] = operator.split('.').collect::<Vec<_>>()[..] else {
            return Err(format!("{operator} does not name an operation"));
        };
        let bases: &[String] = match given("_all_bases") {
            Some(Argument::Tensors(bases)) => bases,
            None => &[],
            Some(other) => return Err(format!("_all_bases is {}, tensors are needed", other.kind())),
        };
        let mut drafts = Vec::new();
        let mut copies = Vec::new();
        for base in bases {
            let (from, to) = (scope.slot(base)?, self.slot()?);
            copies.push(to);
            let spec = CallSpec {
                operation: "aten::clone".to_owned(),
                overload: String::new(),
                module: String::new(),
                source: String::new(),
                arguments: vec![("self".to_owned(), Given::Tensor(from))],
                results: vec![Made::Tensor(to, format!("{}{name}/{base}", scope.prefix))],
                last_used: Vec::new(),
            };
            let form = scope.form(base);
            drafts.push(Draft {
                name: name.to_owned(),
                target: "torch.ops.aten.clone.default".to_owned(),
                action: DraftAction::Call(spec),
                reads: vec![from],
                makes: vec![to],
                example: form.map(|form| Example { forms: vec![form], numbers: Vec::new() }),
                lookup: None,
            });
        }
        let mut arguments = Vec::new();
        for input in &node.inputs {
            if matches!(input.arg, Argument::Operator(_)) || input.name == "_all_bases" {
                continue;
            }
            let Some(inner) = input.name.strip_prefix('_') else {
                arguments.push((input.name.clone(), self.given(scope, input)?));
                continue;
            };
            let Some(argument) = inner.strip_suffix("_base_index") else { continue };
            let viewed = ["size", "stride", "storage_offset"]
                .iter()
                .any(|part| given(&format!("_{argument}_{part}")).is_some());
            let slice = given(&format!("_{argument}_slice_dim")).is_some();
            if viewed || slice {
                return Err(format!(
                    "argument {argument} is a view of a larger tensor, which is not supported here"
                ));
            }
            let copy = match &input.arg {
                Argument::Int(index) => usize::try_from(*index).ok().and_then(|index| copies.get(index)),
                Argument::None => None,
                other => return Err(format!("{} is {}, an index is needed", input.name, other.kind())),
            };
            let value = match (copy, &input.arg) {
                (Some(copy), _) => Given::Tensor(*copy),
                (None, Argument::None) => Given::None,
                (None, _) => return Err(format!("{} is out of range", input.name)),
            };
            arguments.push((argument.to_owned(), value));
        }
        let results =
            node.outputs.len().checked_sub(copies.len()).ok_or("it has fewer results than copies")?;
        let mut own = Vec::new();
        let mut makes = Vec::new();
        for output in node.outputs.iter().take(results) {
            own.push(match output {
                Argument::Tensor(tensor) => {
                    let slot = self.slot()?;
                    scope.define(tensor, slot)?;
                    makes.push(slot);
                    Made::Tensor(slot, format!("{}{tensor}", scope.prefix))
                }
                Argument::None => Made::Nothing,
                other => return Err(format!("a result of kind {} is not supported", other.kind())),
            });
        }
        if own.iter().all(|made| *made == Made::Nothing) {
            own.clear();
        }
        let forms = node.outputs.iter().take(results).filter_map(Argument::name).map(|n| scope.form(n));
        let example =
            forms.collect::<Result<Vec<_>, _>>().map(|forms| Example { forms, numbers: Vec::new() });
        drafts.push(Draft {
            name: name.to_owned(),
            target: format!("torch.ops.{operator}"),
            reads: arguments.iter().flat_map(|(_, value)| read(value)).collect(),
            makes,
            example,
            lookup: None,
            action: DraftAction::Call(CallSpec {
                operation: format!("{namespace}::{base}"),
                overload: if overload == "default" { String::new() } else { overload.to_owned() },
                module: metadata::module(&node.metadata).map(|(path, _)| path).unwrap_or_default(),
                source: metadata::source(&node.metadata).unwrap_or_default(),
                arguments,
                results: own,
                last_used: Vec::new(),
            }),
        });
        let mut aliases = Vec::new();
        for (output, copy) in node.outputs.iter().skip(results).zip(&copies) {
            let slot = self.slot()?;
            scope.define(output.name().ok_or("a copy has no name")?, slot)?;
            aliases.push((Operand::Slot(*copy), slot));
        }
        let action = Action::Alias(aliases);
        drafts.push(Draft {
            name: name.to_owned(),
            target: node.target.clone(),
            reads: action.reads(),
            makes: action.makes(),
            action: DraftAction::Other(action),
            example: Ok(Example::default()),
            lookup: None,
        });
        Ok(drafts)
    }
}
