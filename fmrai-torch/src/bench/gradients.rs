//! Derivatives of objectives with respect to what sites hold.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use fmrai_core::experiment::{
    Axis, BenchError, GradientPath, Gradients, Objective, PathGradients, Place, Site, Variant,
};
use fmrai_core::tensor::DType;
use fmrai_core::tracker::{BoxError, CaptureRequest};

use super::measure::finite;
use super::model_bench::ModelBench;
use super::packing::Packed;
use super::pass::Readings;
use super::rows::site_value;
use super::value::{failed, seen};
use crate::capture::Reuse;
use crate::ffi::gradients::{gradients, leaf};
use crate::ffi::settings;
use crate::ffi::tensor::Tensor;
use crate::operation::call;

impl ModelBench<'_> {
    /// Differentiates the sum of an objective over the rows of a variant: rows do not depend on each other, so each gets its own derivatives.
    pub(super) fn differentiate(
        &mut self,
        variant: &Variant,
        objective: &Objective,
        sites: &[Site],
    ) -> Result<Gradients, BenchError> {
        let recorded = self.recorded(variant, objective, sites.iter().map(|site| site.place).collect())?;
        let Recorded { rows, numbers, sum, held } = &recorded;
        let places: Vec<Place> = held.keys().copied().collect();
        let made =
            gradients(sum, None, &held.values().collect::<Vec<_>>(), false).map_err(BenchError::Pass)?;
        let mut by_place: BTreeMap<Place, Tensor> = BTreeMap::new();
        for (place, gradient) in places.iter().zip(made) {
            by_place.insert(*place, gradient.ok_or(BenchError::Independent(*place))?);
        }
        let value = |tensor: &Tensor, site: &Site| site_value(tensor, site, *rows, variant.rows.len());
        let at = sites.iter().map(|site| value(&held[&site.place], site)).collect::<Result<_, _>>()?;
        let gradients =
            sites.iter().map(|site| value(&by_place[&site.place], site)).collect::<Result<_, _>>()?;
        Ok(Gradients { values: numbers.clone(), at, gradients })
    }

    /// Differentiates along paths: what the objective has of each `through`, weighted onto its `to`, all in one record.
    pub(super) fn along_paths(
        &mut self,
        variant: &Variant,
        objective: &Objective,
        paths: &[GradientPath],
    ) -> Result<PathGradients, BenchError> {
        let throughs = paths.iter().filter_map(|path| path.through.as_ref());
        let all: Vec<Place> =
            paths.iter().map(|path| &path.to).chain(throughs).map(|site| site.place).collect();
        let recorded = self.recorded(variant, objective, all)?;
        let Recorded { rows, numbers, sum, held } = &recorded;
        let whole =
            gradients(sum, None, &held.values().collect::<Vec<_>>(), true).map_err(BenchError::Pass)?;
        let whole: BTreeMap<Place, Option<Tensor>> = held.keys().copied().zip(whole).collect();
        let mut made = Vec::with_capacity(paths.len());
        for GradientPath { to, through, heads } in paths {
            let independent = || BenchError::Independent(to.place);
            let gradient = match through {
                None => whole[&to.place].clone().ok_or_else(independent)?,
                Some(through) => {
                    let weights =
                        whole[&through.place].as_ref().ok_or(BenchError::Independent(through.place))?;
                    let weights = of_heads(weights, through, heads, *rows)?;
                    let target = &held[&to.place];
                    let made = gradients(&held[&through.place], Some(&weights), &[target], true);
                    made.map_err(BenchError::Pass)?.pop().flatten().ok_or_else(independent)?
                }
            };
            made.push(site_value(&gradient, to, *rows, variant.rows.len())?);
        }
        Ok(PathGradients { values: numbers.clone(), gradients: made })
    }

    /// Runs a variant with its record for gradients from the first of these places on.
    fn recorded(
        &mut self,
        variant: &Variant,
        objective: &Objective,
        mut places: Vec<Place>,
    ) -> Result<Recorded, BenchError> {
        let rows = self.filled(&variant.rows)?;
        let inputs = self.inputs(&rows)?;
        let packed = Packed { variants: vec![0], rows: rows.clone() };
        let mut actions = self.edit_actions(std::slice::from_ref(variant), &packed, rows.len());
        let held: Rc<RefCell<BTreeMap<Place, Tensor>>> = Rc::default();
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
        let read = Readings::default();
        let objectives = std::slice::from_ref(objective);
        self.read_objectives(&mut actions, objectives, &rows, &read, true);
        self.runner.run(&inputs, &CaptureRequest::none(), actions, Reuse::Nothing, true)?;
        self.count(rows.len());
        let _recorded = settings::Gradients::set(true);
        let own = 0..variant.rows.len();
        let values = self.evaluate(objectives, &rows, std::slice::from_ref(&own), &read)?;
        let values =
            values.into_iter().next().ok_or_else(|| BenchError::Objective("there is none".to_owned()))?;
        let own = values.narrow(0, 0, variant.rows.len() as i64).map_err(failed)?;
        let numbers = own.detach().and_then(|own| own.to_vec::<f64>()).map_err(failed)?;
        finite(self.graph(), objective, variant, &numbers)?;
        let sum = own.sum(DType::Float64).map_err(failed)?;
        let held_now = held.borrow();
        if let Some(place) = places.iter().find(|place| !held_now.contains_key(*place)) {
            return Err(BenchError::Independent(*place));
        }
        if !sum.requires_grad() {
            return Err(places.first().map_or_else(
                || BenchError::Objective("there is nothing to differentiate with respect to".to_owned()),
                |place| BenchError::Independent(*place),
            ));
        }
        drop(held_now);
        Ok(Recorded { rows: rows.len(), numbers, sum, held: held.take() })
    }
}

/// A pass with its record for gradients.
struct Recorded {
    /// Rows of the pass.
    rows: usize,
    /// The objective of each row of the variant.
    numbers: Vec<f64>,
    /// Their sum, as a tensor.
    sum: Tensor,
    /// What the places hold, within the record.
    held: BTreeMap<Place, Tensor>,
}

/// The part of a gradient at a site that belongs to these heads, zeros elsewhere; all of it where none are listed.
fn of_heads(gradient: &Tensor, site: &Site, heads: &[usize], rows: usize) -> Result<Tensor, BenchError> {
    if heads.is_empty() {
        return Ok(gradient.clone());
    }
    let sizes = seen(site.place, &site.layout, gradient, rows)?;
    let wrong = |what: String| BenchError::Edit { place: site.place, what };
    let axis = site.layout.axis(Axis::Head).ok_or_else(|| wrong("it has no heads".to_owned()))?;
    let mut mask = vec![0.0f32; usize::try_from(sizes[axis]).unwrap_or(0)];
    for head in heads {
        *mask.get_mut(*head).ok_or_else(|| wrong(format!("there is no head {head}")))? = 1.0;
    }
    let form: Vec<i64> = (0..sizes.len()).map(|at| if at == axis { sizes[axis] } else { 1 }).collect();
    let masked = || {
        let mask = Tensor::from_slice(&mask)?.reshape(&form)?.to_dtype(gradient.dtype())?;
        let mask = mask.to_device(gradient.device())?;
        let product = call("aten::mul.Tensor", &[(&gradient.reshape(&sizes)?).into(), (&mask).into()])?;
        product.reshape(&gradient.size())
    };
    masked().map_err(failed)
}
