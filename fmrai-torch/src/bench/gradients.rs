//! Derivatives of objectives with respect to what sites hold.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use fmrai_core::experiment::{BenchError, Gradients, Objective, Place, Site, Variant};
use fmrai_core::tensor::DType;
use fmrai_core::tracker::{BoxError, CaptureRequest};

use super::model_bench::{ModelBench, finite, site_value};
use super::packing::Packed;
use super::pass::Read;
use super::value::failed;
use crate::capture::Reuse;
use crate::ffi::gradients::{gradients, leaf};
use crate::ffi::settings;
use crate::ffi::tensor::Tensor;

impl ModelBench<'_> {
    /// Differentiates the sum of an objective over the rows of a variant: rows do not depend on each other, so each gets its own derivatives.
    pub(super) fn differentiate(
        &mut self,
        variant: &Variant,
        objective: &Objective,
        sites: &[Site],
    ) -> Result<Gradients, BenchError> {
        let rows = self.filled(&variant.rows)?;
        let inputs = self.inputs(&rows)?;
        let packed = Packed { variants: vec![0], rows: rows.clone() };
        let mut actions = self.edit_actions(std::slice::from_ref(variant), &packed, rows.len());
        let held: Rc<RefCell<BTreeMap<Place, Tensor>>> = Rc::default();
        let mut places: Vec<Place> = sites.iter().map(|site| site.place).collect();
        places.sort_unstable();
        places.dedup();
        for place in &places {
            let (held, place) = (Rc::clone(&held), *place);
            actions.add(place, move |value| {
                if value.requires_grad() {
                    held.borrow_mut().insert(place, value.clone());
                    return Ok(None);
                }
                let start = leaf(value).map_err(BoxError::from)?;
                held.borrow_mut().insert(place, start.clone());
                Ok(Some(start))
            });
        }
        let (read, left) = (Read::default(), Rc::default());
        let objectives = std::slice::from_ref(objective);
        self.read_logits(&mut actions, objectives, &rows, &read, &left, true);
        self.runner.run(&inputs, &CaptureRequest::none(), actions, Reuse::Nothing, true)?;
        self.count(rows.len());
        let _recorded = settings::Gradients::set(true);
        let read = read.borrow().clone();
        let values = self.evaluate(objectives, &rows, &read)?;
        let values =
            values.into_iter().next().ok_or_else(|| BenchError::Objective("there is none".to_owned()))?;
        let own = values.narrow(0, 0, variant.rows.len() as i64).map_err(failed)?;
        let numbers = own.detach().and_then(|own| own.to_vec::<f64>()).map_err(failed)?;
        finite(objective, variant, &numbers)?;
        let sum = own.sum(DType::Float64).map_err(failed)?;
        let held = held.borrow();
        let none =
            |place: Place| BenchError::Pass(format!("{place} is not made in this pass before the objective"));
        let to: Vec<&Tensor> = places
            .iter()
            .map(|place| held.get(place).ok_or_else(|| none(*place)))
            .collect::<Result<_, _>>()?;
        if !sum.requires_grad() {
            return Err(places.first().map_or_else(
                || BenchError::Objective("there is nothing to differentiate with respect to".to_owned()),
                |place| BenchError::Independent(*place),
            ));
        }
        let made = gradients(&sum, &to).map_err(BenchError::Pass)?;
        let mut by_place: BTreeMap<Place, Tensor> = BTreeMap::new();
        for (place, gradient) in places.iter().zip(made) {
            by_place.insert(*place, gradient.ok_or(BenchError::Independent(*place))?);
        }
        let value = |tensor: &Tensor, site: &Site| site_value(tensor, site, rows.len(), variant.rows.len());
        let at = sites.iter().map(|site| value(&held[&site.place], site)).collect::<Result<_, _>>()?;
        let gradients =
            sites.iter().map(|site| value(&by_place[&site.place], site)).collect::<Result<_, _>>()?;
        Ok(Gradients { values: numbers, at, gradients })
    }
}
