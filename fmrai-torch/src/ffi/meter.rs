//! How much memory the tensors of a stretch of code take.

use std::ffi::c_char;
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::message::checked;
use crate::error::TorchError;

#[repr(C)]
struct RawMeter {
    _opaque: [u8; 0],
}

// Declared as in `shim/meter.h`.
unsafe extern "C" {
    fn fmrai_meter_begin(meter: *mut *mut RawMeter) -> *mut c_char;
    fn fmrai_meter_peak(meter: *const RawMeter) -> i64;
    fn fmrai_meter_end(meter: *mut RawMeter);
}

/// Counts the memory of tensors that this thread allocates and frees while it lives; nothing while a profiler of libtorch watches this thread, which would
/// take what counts for its own.
#[derive(Debug)]
#[must_use = "nothing is counted after it is dropped"]
pub struct MemoryMeter {
    raw: NonNull<RawMeter>,
    // It counts for the thread that it was begun on.
    thread: PhantomData<*const ()>,
}

impl MemoryMeter {
    /// Begins to count.
    ///
    /// # Errors
    /// [`TorchError`] if there is no memory for it.
    pub fn begin() -> Result<Self, TorchError> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: `raw` is valid for a write.
        checked(unsafe { fmrai_meter_begin(&raw mut raw) }).map_err(TorchError::new)?;
        let raw = NonNull::new(raw).ok_or_else(|| TorchError::new("out of memory"))?;
        Ok(Self { raw, thread: PhantomData })
    }

    /// The most bytes that tensors held at a time beyond those that there were when it began.
    #[must_use]
    pub fn peak(&self) -> u64 {
        // SAFETY: it is live.
        u64::try_from(unsafe { fmrai_meter_peak(self.raw.as_ptr()) }).unwrap_or(0)
    }
}

impl Drop for MemoryMeter {
    fn drop(&mut self) {
        // SAFETY: made by `fmrai_meter_begin` on this thread, which it cannot leave; freed once.
        unsafe { fmrai_meter_end(self.raw.as_ptr()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tensor;

    #[test]
    fn what_is_held_at_a_time_is_counted_and_not_what_came_and_went() {
        let before = Tensor::from_slice(&[0.0f32; 1000]).unwrap();
        let meter = MemoryMeter::begin().unwrap();
        for _ in 0..5 {
            let one = Tensor::from_slice(&[1.0f32; 10_000]).unwrap();
            drop(one);
        }
        let once = meter.peak();
        assert!((40_000..60_000).contains(&once), "{once}");
        let kept: Vec<Tensor> = (0..3).map(|_| Tensor::from_slice(&[1.0f32; 10_000]).unwrap()).collect();
        assert!((120_000..140_000).contains(&meter.peak()), "{}", meter.peak());
        drop((kept, before));
        let inner = MemoryMeter::begin().unwrap();
        assert_eq!(inner.peak(), 0, "it counts from its own beginning");
        drop(inner);
        let more: Vec<Tensor> = (0..5).map(|_| Tensor::from_slice(&[1.0f32; 10_000]).unwrap()).collect();
        assert!((190_000..220_000).contains(&meter.peak()), "the outer one counts again: {}", meter.peak());
        drop(more);
    }
}
