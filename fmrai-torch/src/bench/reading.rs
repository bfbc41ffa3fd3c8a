//! Reading what sites hold.

use std::rc::Rc;

use fmrai_core::experiment::{BenchError, Place, Site};
use fmrai_core::tensor::TensorValue;
use fmrai_core::tracker::CaptureRequest;

use super::model_bench::ModelBench;
use super::pass::{Read, read_at};
use super::rows::site_value;
use super::value::failed;
use crate::capture::{Actions, Reuse};
use crate::ffi::tensor::Tensor;
use crate::model::NamedTensors;

impl ModelBench<'_> {
    /// What sites hold in a pass of this many rows, of the first `rows` of them.
    pub(super) fn read_sites(
        &mut self,
        inputs: &NamedTensors,
        mut actions: Actions,
        sites: &[Site],
        passed: usize,
        rows: usize,
        reuse: Reuse<'_>,
    ) -> Result<Vec<TensorValue>, BenchError> {
        let (read, left) = (Read::default(), Rc::default());
        let mut places: Vec<Place> = sites.iter().map(|site| site.place).collect();
        places.sort_unstable();
        places.dedup();
        for place in places {
            let take = |value: &Tensor| value.detached_copy().map_err(failed);
            read_at(&mut actions, place, &read, &left, self.settings.end_early, take);
        }
        self.runner.run(inputs, &CaptureRequest::none(), actions, reuse, false)?;
        let read = read.borrow();
        let none = |place: Place| BenchError::Pass(format!("{place} is not made in this pass"));
        sites
            .iter()
            .map(|site| {
                let tensor = read.get(&site.place).ok_or_else(|| none(site.place))?;
                site_value(tensor, site, passed, rows)
            })
            .collect()
    }
}
