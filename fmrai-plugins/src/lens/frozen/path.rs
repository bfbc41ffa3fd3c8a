//! What leads from some tensors to another one.

use std::collections::{BTreeMap, BTreeSet};

use fmrai_core::graph::{Graph, TensorId};
use fmrai_core::structure::Structure;

use super::kind::{Kind, kinds, needed};
use crate::lens::action::{Action, Binary, Operand, Unary};
use crate::lens::builder::Builder;
use crate::lens::error::LensError;
use crate::lens::map::Lens;
use crate::lens::operation::width;
use crate::lens::program::{Program, Step};
use crate::lens::steps::inputs;

/// The operations that lead from some tensors to another one, as far as these are affine once the statistics of norms are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    pub(super) given: Vec<TensorId>,
    pub(super) end: TensorId,
    before_cap: bool,
    /// The constants that it needs, and the steps in execution order.
    pub(super) program: Program,
    pub(super) kinds: BTreeMap<TensorId, Kind>,
    pub(super) needed: BTreeSet<TensorId>,
    pub(super) widths: BTreeMap<TensorId, usize>,
}

impl Path {
    /// From tensors `[batch, token, channel]` to another one that is computed of them and of weights alone, token by token.
    ///
    /// # Errors
    /// - [`LensError::NotUnderstood`] names an operation on the way that is not known, or something else that it reads.
    /// - [`LensError::NotLinear`] names one that is not affine.
    pub fn find(
        graph: &dyn Graph,
        structure: &Structure,
        from: &[TensorId],
        to: TensorId,
    ) -> Result<Self, LensError> {
        let sums: BTreeSet<TensorId> =
            structure.residual.iter().map(|write| write.after).filter(|sum| *sum != to).collect();
        let (first, more) = from.split_first().ok_or(LensError::NoStream)?;
        let program = Builder::new(graph, &sums, *first).given(more).program(to)?.program;
        Self::of(graph, from.to_vec(), program, false)
    }

    /// From the sum that `lens` reads to the logits of the model, [`end`](Self::end): to those before a soft-cap, `cap · tanh(x / cap)`,
    /// where there is one.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn to_logits(graph: &dyn Graph, lens: &Lens) -> Result<Self, LensError> {
        let mut program = lens.from_sum.clone();
        let map = program.steps.iter().rposition(|step| matches!(step.action, Action::Linear { .. }));
        let behind = program.steps.get(map.map_or(0, |at| at + 1)..).unwrap_or_default();
        let function =
            |step: &Step| matches!(step.action, Action::Unary(function, _) if function != Unary::Negative);
        let capped = behind.iter().any(function);
        if let Some(map) = map.filter(|_| capped) {
            let adds = |step: &&Step| {
                let added = Binary::Add;
                matches!(step.action, Action::Same(_))
                    || matches!(step.action, Action::Binary { kind, right: Operand::Constant(_), .. } if kind == added)
            };
            let more = behind.iter().take_while(adds).count();
            program.steps.truncate(map + 1 + more);
            program.end = program.steps.last().map_or(program.end, |step| step.output);
        }
        Self::of(graph, vec![lens.sum], program, capped)
    }

    fn of(
        graph: &dyn Graph,
        given: Vec<TensorId>,
        mut program: Program,
        before_cap: bool,
    ) -> Result<Self, LensError> {
        let mut used = BTreeSet::from([program.end]);
        for step in program.steps.iter().rev() {
            if used.contains(&step.output) {
                used.extend(inputs(&step.action));
            }
        }
        program.steps.retain(|step| used.contains(&step.output));
        let ids = given.iter().copied().chain(program.steps.iter().map(|step| step.output));
        let widths: BTreeMap<TensorId, usize> = ids.map(|id| (id, width(graph, id))).collect();
        let one = widths.iter().filter(|(_, width)| **width == 1).map(|(id, _)| *id).collect();
        let kinds = kinds(&given, &program.steps, &one);
        let needed = needed(&program.steps, &kinds);
        let path = Self { end: program.end, before_cap, given, needed, program, kinds, widths };
        path.check()?;
        Ok(path)
    }

    /// An error for the first operation that is not affine, of those that the end depends on through affine ones.
    fn check(&self) -> Result<(), LensError> {
        let affine = |id: &TensorId| self.kinds.get(id) == Some(&Kind::Affine);
        let mut reached = BTreeSet::from([self.end]);
        for step in self.program.steps.iter().rev().filter(|step| !step_is_kept(self, step)) {
            if !reached.contains(&step.output) {
                continue;
            }
            if !affine(&step.output) {
                return Err(LensError::NotLinear { operation: step.name.clone() });
            }
            reached.extend(inputs(&step.action));
        }
        Ok(())
    }

    /// What is given, in the order in which [`LoadedPath::pull`](super::LoadedPath::pull) takes it.
    #[must_use]
    pub fn given(&self) -> &[TensorId] {
        &self.given
    }

    /// Where it ends.
    #[must_use]
    pub fn end(&self) -> TensorId {
        self.end
    }

    /// True if the model's logits are made of the end by a soft-cap.
    #[must_use]
    pub fn before_cap(&self) -> bool {
        self.before_cap
    }
}

fn step_is_kept(path: &Path, step: &Step) -> bool {
    path.kinds.get(&step.output) == Some(&Kind::Kept)
}
