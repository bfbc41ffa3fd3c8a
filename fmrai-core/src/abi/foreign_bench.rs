//! The bench of the other side's batch as a bench again.

use super::raw::experiment as raw;
use super::raw::{Collected, DLTensor, OK, Sink, Status};
use super::sites::{Lending, lent_site};
use super::tensor;
use crate::experiment::{
    Bench, BenchError, GradientPath, Gradients, Objective, PathGradients, Site, Variant,
};
use crate::tensor::TensorValue;

/// The bench of a batch of the other side.
pub(super) struct ForeignBench {
    raw: raw::Bench,
}

/// A handle that is given back.
struct Handle<'b> {
    bench: &'b raw::Bench,
    handle: u64,
}

impl Drop for Handle<'_> {
    fn drop(&mut self) {
        if let Some(release) = self.bench.release {
            // SAFETY: the bench lives as long as the handle.
            unsafe { release(self.bench.ctx, self.handle) };
        }
    }
}

fn told(what: impl Into<String>) -> BenchError {
    BenchError::Told(what.into())
}

fn called(run: impl FnOnce(*mut Sink) -> Status) -> Result<(), BenchError> {
    let mut err = Collected::new();
    match run(&mut err.sink()) {
        OK => Ok(()),
        status => Err(told(err.message(status))),
    }
}

fn count(length: usize) -> Result<u32, BenchError> {
    u32::try_from(length).map_err(|_| told(format!("{length} are more than 32 bits hold")))
}

impl ForeignBench {
    /// # Safety
    /// `bench` is NULL or the bench of a batch that lives as long as what is made here.
    pub(super) unsafe fn of(bench: *const raw::Bench) -> Result<Self, String> {
        // SAFETY: the caller's promise; the struct never changes.
        let raw = unsafe { bench.as_ref() }.copied().ok_or("the bench is NULL")?;
        let all = [
            raw.measure.is_some(),
            raw.read.is_some(),
            raw.gradients.is_some(),
            raw.path_gradients.is_some(),
            raw.read_tokens.is_some(),
            raw.put.is_some(),
            raw.view.is_some(),
            raw.release.is_some(),
        ];
        if all.contains(&false) {
            Err("a function of fmrai_bench is NULL".to_owned())
        } else {
            Ok(Self { raw })
        }
    }

    fn hold(&self, value: &TensorValue) -> Result<Handle<'_>, BenchError> {
        let dimensions = tensor::dimensions(value.shape());
        let lent = tensor::lent(&value.view(), &dimensions);
        let mut handle = 0;
        called(|err| {
            // SAFETY: the bench and the tensor live during the call.
            self.raw.put.map_or(OK, |f| unsafe { f(self.raw.ctx, &raw const lent, &mut handle, err) })
        })?;
        Ok(Handle { bench: &self.raw, handle })
    }

    fn take(&self, handle: u64) -> Result<TensorValue, BenchError> {
        let handle = Handle { bench: &self.raw, handle };
        let mut view: *const DLTensor = std::ptr::null();
        called(|err| {
            // SAFETY: the bench lives during the call.
            self.raw.view.map_or(OK, |f| unsafe { f(self.raw.ctx, handle.handle, &mut view, err) })
        })?;
        // SAFETY: the host's tensor lives until its handle is released.
        let view = unsafe { view.as_ref() }.ok_or_else(|| told("the host shows no tensor"))?;
        // SAFETY: as above.
        unsafe { tensor::copy(view) }.map_err(told)
    }

    fn take_all(&self, handles: &[u64]) -> Result<Vec<TensorValue>, BenchError> {
        // All of them, also where one fails: each is given back.
        let all: Vec<_> = handles.iter().map(|handle| self.take(*handle)).collect();
        all.into_iter().collect()
    }

    /// Variants as C has them, with the handles that they hold.
    fn variants<'b>(
        &'b self,
        lending: &mut Lending,
        handles: &mut Vec<Handle<'b>>,
        variants: &[Variant],
    ) -> Result<Vec<raw::Variant>, BenchError> {
        let mut hold = |value: &TensorValue| {
            let held = self.hold(value).map_err(|error| error.to_string())?;
            let handle = held.handle;
            handles.push(held);
            Ok(handle)
        };
        lending.variants(variants, &mut hold).map_err(told)
    }
}

fn sites_of(sites: &[Site]) -> Result<Vec<raw::Site>, BenchError> {
    sites.iter().map(lent_site).collect::<Result<_, _>>().map_err(told)
}

impl Bench for ForeignBench {
    fn measure(
        &mut self,
        variants: &[Variant],
        objectives: &[Objective],
    ) -> Result<Vec<Vec<Vec<f64>>>, BenchError> {
        let (mut lending, mut handles) = (Lending::default(), Vec::new());
        let lent = self.variants(&mut lending, &mut handles, variants)?;
        let wanted = lending.objectives(objectives).map_err(told)?;
        let rows: usize = variants.iter().map(|variant| variant.rows.len()).sum();
        let mut values = vec![0.0; rows * objectives.len()];
        let (n, m) = (count(lent.len())?, count(wanted.len())?);
        let place = values.as_mut_ptr();
        called(|err| {
            // SAFETY: the bench, the lists and the place live during the call.
            self.raw.measure.map_or(OK, |f| unsafe {
                f(self.raw.ctx, lent.as_ptr(), n, wanted.as_ptr(), m, place, values.len() as u64, err)
            })
        })?;
        let mut rest = values.as_slice();
        let mut next = |rows: usize| {
            let (own, others) = rest.split_at(rows);
            rest = others;
            own.to_vec()
        };
        let each =
            variants.iter().map(|variant| objectives.iter().map(|_| next(variant.rows.len())).collect());
        Ok(each.collect())
    }

    fn read_all(
        &mut self,
        variants: &[Variant],
        sites: &[Site],
    ) -> Result<Vec<Vec<TensorValue>>, BenchError> {
        let (mut lending, mut handles) = (Lending::default(), Vec::new());
        let lent = self.variants(&mut lending, &mut handles, variants)?;
        let at = sites_of(sites)?;
        let mut read = vec![0; variants.len() * sites.len()];
        let (n, m) = (count(lent.len())?, count(at.len())?);
        let place = read.as_mut_ptr();
        called(|err| {
            // SAFETY: the bench, the lists and the place live during the call.
            self.raw
                .read
                .map_or(OK, |f| unsafe { f(self.raw.ctx, lent.as_ptr(), n, at.as_ptr(), m, place, err) })
        })?;
        let mut values = self.take_all(&read)?.into_iter();
        Ok(variants.iter().map(|_| values.by_ref().take(sites.len()).collect()).collect())
    }

    fn gradients(
        &mut self,
        variant: &Variant,
        objective: &Objective,
        sites: &[Site],
    ) -> Result<Gradients, BenchError> {
        let (mut lending, mut handles) = (Lending::default(), Vec::new());
        let lent = self.variants(&mut lending, &mut handles, std::slice::from_ref(variant))?;
        let wanted = lending.objectives(std::slice::from_ref(objective)).map_err(told)?;
        let at = sites_of(sites)?;
        let mut values = vec![0.0; variant.rows.len()];
        let (mut held, mut made) = (vec![0; sites.len()], vec![0; sites.len()]);
        let n = count(at.len())?;
        let places = (values.as_mut_ptr(), held.as_mut_ptr(), made.as_mut_ptr());
        called(|err| {
            // SAFETY: the bench, the lists and the places live during the call.
            self.raw.gradients.map_or(OK, |f| unsafe {
                let (variant, objective) = (lent.as_ptr(), wanted.as_ptr());
                f(self.raw.ctx, variant, objective, at.as_ptr(), n, places.0, places.1, places.2, err)
            })
        })?;
        let (at, gradients) = (self.take_all(&held), self.take_all(&made));
        Ok(Gradients { values, at: at?, gradients: gradients? })
    }

    fn path_gradients(
        &mut self,
        variant: &Variant,
        objective: &Objective,
        paths: &[GradientPath],
    ) -> Result<PathGradients, BenchError> {
        let (mut lending, mut handles) = (Lending::default(), Vec::new());
        let lent = self.variants(&mut lending, &mut handles, std::slice::from_ref(variant))?;
        let wanted = lending.objectives(std::slice::from_ref(objective)).map_err(told)?;
        let along = lending.paths(paths).map_err(told)?;
        let mut values = vec![0.0; variant.rows.len()];
        let mut made = vec![0; paths.len()];
        let n = count(along.len())?;
        let places = (values.as_mut_ptr(), made.as_mut_ptr());
        called(|err| {
            // SAFETY: the bench, the lists and the places live during the call.
            self.raw.path_gradients.map_or(OK, |f| unsafe {
                let (variant, objective) = (lent.as_ptr(), wanted.as_ptr());
                f(self.raw.ctx, variant, objective, along.as_ptr(), n, places.0, places.1, err)
            })
        })?;
        Ok(PathGradients { values, gradients: self.take_all(&made)? })
    }

    fn read_tokens(&mut self, rows: &[Vec<u32>], sites: &[Site]) -> Result<Vec<TensorValue>, BenchError> {
        let length = rows.first().map_or(0, Vec::len);
        if rows.iter().any(|row| row.len() != length) {
            return Err(told("rows of tokens have to be of one length"));
        }
        let tokens: Vec<u32> = rows.iter().flatten().copied().collect();
        let at = sites_of(sites)?;
        let mut read = vec![0; sites.len()];
        let (n_rows, length, n) = (count(rows.len())?, count(length)?, count(at.len())?);
        let place = read.as_mut_ptr();
        called(|err| {
            // SAFETY: the bench, the lists and the place live during the call.
            self.raw.read_tokens.map_or(OK, |f| unsafe {
                f(self.raw.ctx, tokens.as_ptr(), n_rows, length, at.as_ptr(), n, place, err)
            })
        })?;
        self.take_all(&read)
    }
}
