//! Which parts of a tensor belong to which sample of its batch, as passes on other rows show; and batches that had to be filled up:
//! nobody sees the rows that were added.

use std::collections::BTreeMap;

use fmrai_core::graph::TensorId;
use fmrai_core::tensor::{DataView, TensorError, TensorView};
use fmrai_core::tracker::{Activations, CaptureRequest};

/// How much closer one reading of a tensor has to be than every other.
const CLEARLY: f64 = 0.05;
/// Elements that are looked at; of larger tensors these many, spread evenly.
const LOOKED_AT: usize = 1 << 20;
/// Readings that are tried; tensors that allow more are not read.
const READINGS: usize = 512;

/// The samples of a batch along one axis of a tensor: place `(o * rows + row) * inner + i` belongs to `row`.
///
/// `inner` is the number of heads where those of one sample follow on each other (`batch · head`), `outer` where the samples of one
/// head do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Along {
    pub(super) axis: usize,
    pub(super) outer: usize,
    pub(super) inner: usize,
}

/// Where the samples of a batch are in a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rows {
    /// No axis runs over them: a constant, or something computed over all of them.
    Apart,
    /// Along these axes; more than one where samples are compared with each other.
    Along(Vec<Along>),
    /// It cannot be told.
    Unknown,
}

/// What is known of the samples in a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) rows: Rows,
    /// Whether what one sample gives depends on the others.
    pub(super) mixed: bool,
}

impl Layout {
    pub(super) const UNKNOWN: Self = Self { rows: Rows::Unknown, mixed: false };

    /// The sample that the element at this place belongs to; `None` where it cannot be told or belongs to none alone.
    pub(super) fn row_of(&self, shape: &[usize], element: usize, rows: usize) -> Option<usize> {
        let Rows::Along(axes) = &self.rows else { return None };
        let [along] = axes.as_slice() else { return None };
        let after: usize = shape.iter().skip(along.axis + 1).product();
        let size = *shape.get(along.axis)?;
        let place = element.checked_div(after)?.checked_rem(size)?;
        place.checked_div(along.inner)?.checked_rem(rows)
    }
}

/// Finds the samples in a tensor from two passes: on some rows, and on the same rows each moved on by one, the last to the front.
pub(super) fn read(first: &TensorView<'_>, moved: &TensorView<'_>, rows: usize) -> Rows {
    let shape = first.shape();
    if shape != moved.shape() || rows < 2 {
        return Rows::Unknown;
    }
    let (first, moved) = (first.data(), moved.data());
    let places = places(first.len());
    let unmoved = distance(first, moved, &places, |place| place);
    if unmoved == 0.0 {
        return Rows::Apart;
    }
    let Some(readings) = readings(shape, rows) else { return Rows::Unknown };
    let far = |axes: &Vec<Along>| distance(first, moved, &places, |place| source(shape, rows, axes, place));
    let mut distances: Vec<(f64, usize)> =
        readings.iter().map(far).enumerate().map(|(at, far)| (far, at)).collect();
    distances.push((unmoved, readings.len()));
    distances.sort_by(|a, b| a.0.total_cmp(&b.0));
    let [(least, at), ..] = distances.as_slice() else { return Rows::Unknown };
    let clear = distances.get(1).is_none_or(|(second, _)| *least <= CLEARLY * second);
    match readings.get(*at) {
        // Sums over all samples change in the last digits alone.
        None if clear => Rows::Apart,
        Some(axes) if clear => Rows::Along(axes.clone()),
        _ => Rows::Unknown,
    }
}

/// Whether rows depend on each other: `other` was computed from the same rows but for the last one. `moved` is as for [`read`].
pub(super) fn mixes(
    rows: &Rows,
    first: &TensorView<'_>,
    moved: &TensorView<'_>,
    other: &TensorView<'_>,
    count: usize,
) -> bool {
    let shape = first.shape();
    if shape != other.shape() {
        return false;
    }
    let (first, moved, other) = (first.data(), moved.data(), other.data());
    let places = places(first.len());
    let unmoved = distance(first, moved, &places, |place| place);
    match rows {
        Rows::Unknown => false,
        // Noise is what moving the rows has changed.
        Rows::Apart => CLEARLY * distance(first, other, &places, |place| place) > unmoved,
        Rows::Along(axes) => {
            let real = |place: &usize| axes.iter().all(|along| row(shape, count, along, *place) + 1 < count);
            let others: Vec<usize> = places.into_iter().filter(real).collect();
            distance(first, other, &others, |place| place) > CLEARLY * unmoved
        }
    }
}

fn places(elements: usize) -> Vec<usize> {
    (0..elements).step_by(if elements > LOOKED_AT { (elements / LOOKED_AT) | 1 } else { 1 }).collect()
}

/// Every way in which samples may lie in a tensor of this shape; `None` if there are too many.
fn readings(shape: &[usize], rows: usize) -> Option<Vec<Vec<Along>>> {
    let mut readings: Vec<Vec<Along>> = vec![Vec::new()];
    for (axis, &size) in shape.iter().enumerate() {
        if size == 0 || !size.is_multiple_of(rows) {
            continue;
        }
        let merged = size / rows;
        let ways = (1..=merged).filter(|outer| merged.is_multiple_of(*outer));
        let ways: Vec<Along> = ways.map(|outer| Along { axis, outer, inner: merged / outer }).collect();
        let with = readings.iter().flat_map(|reading| {
            ways.iter().map(move |way| reading.iter().copied().chain([*way]).collect::<Vec<_>>())
        });
        let with: Vec<Vec<Along>> = with.collect();
        readings.extend(with);
        if readings.len() > READINGS {
            return None;
        }
    }
    readings.remove(0);
    Some(readings)
}

fn row(shape: &[usize], rows: usize, along: &Along, place: usize) -> usize {
    let after: usize = shape.iter().skip(along.axis + 1).product();
    let size = shape.get(along.axis).copied().unwrap_or(1);
    (place / after.max(1)) % size.max(1) / along.inner.max(1) % rows
}

/// Where the element at `place` was before the rows moved on by one.
fn source(shape: &[usize], rows: usize, axes: &[Along], place: usize) -> usize {
    axes.iter().fold(place, |place, along| {
        let after: usize = shape.iter().skip(along.axis + 1).product();
        let step = along.inner * after;
        if row(shape, rows, along, place) == 0 { place + (rows - 1) * step } else { place - step }
    })
}

/// Mean difference of `moved` at each place and `first` at the place that it came from.
fn distance(
    first: DataView<'_>,
    moved: DataView<'_>,
    places: &[usize],
    from: impl Fn(usize) -> usize,
) -> f64 {
    let far = |a: f64, b: f64| match () {
        () if a == b || a.is_nan() && b.is_nan() => 0.0,
        () if (a - b).is_finite() => (a - b).abs(),
        // Something is a number in one pass and none in the other.
        () => 1.0 + [a, b].into_iter().filter(|x| x.is_finite()).map(f64::abs).fold(0.0, f64::max),
    };
    let sum: f64 = places.iter().map(|&place| far(element(moved, place), element(first, from(place)))).sum();
    #[expect(clippy::cast_precision_loss, reason = "at most a million")]
    let count = places.len().max(1) as f64;
    sum / count
}

fn element(data: DataView<'_>, place: usize) -> f64 {
    let none = f64::NAN;
    match data {
        DataView::F32(d) => d.get(place).map_or(none, |x| f64::from(*x)),
        DataView::F64(d) => d.get(place).copied().unwrap_or(none),
        #[expect(clippy::cast_precision_loss, reason = "compared, not used")]
        DataView::I64(d) => d.get(place).map_or(none, |x| *x as f64),
        DataView::I32(d) => d.get(place).map_or(none, |x| f64::from(*x)),
        DataView::U8(d) => d.get(place).map_or(none, |x| f64::from(*x)),
    }
}

/// The tensors of a batch without the rows that were added. A tensor in which the samples cannot be told is handed out whole.
pub(super) struct RealRows {
    inner: Box<dyn Activations>,
    cut: BTreeMap<TensorId, Cut>,
}

/// The elements of the samples in a tensor.
struct Cut {
    shape: Vec<usize>,
    /// `None` where they are the first ones of the tensor.
    elements: Option<Elements>,
}

enum Elements {
    F32(Vec<f32>),
    F64(Vec<f64>),
    I64(Vec<i64>),
    I32(Vec<i32>),
    U8(Vec<u8>),
}

impl RealRows {
    pub(super) fn of(
        inner: Box<dyn Activations>,
        request: &CaptureRequest,
        layouts: &BTreeMap<TensorId, Layout>,
        samples: usize,
        rows: usize,
    ) -> Self {
        let mut cut = BTreeMap::new();
        for id in request.tensors() {
            if let (Some(Ok(view)), Some(Rows::Along(axes))) =
                (inner.tensor(id), layouts.get(&id).map(|layout| &layout.rows))
            {
                cut.insert(id, Cut::of(&view, axes, samples, rows));
            }
        }
        Self { inner, cut }
    }
}

impl Activations for RealRows {
    fn tensor(&self, id: TensorId) -> Option<Result<TensorView<'_>, TensorError>> {
        let whole = self.inner.tensor(id)?;
        let Some(Cut { shape, elements }) = self.cut.get(&id) else { return Some(whole) };
        let elements = match elements {
            None => whole.map(|view| first(view.data(), shape.iter().product())),
            Some(Elements::F32(d)) => Ok(DataView::F32(d)),
            Some(Elements::F64(d)) => Ok(DataView::F64(d)),
            Some(Elements::I64(d)) => Ok(DataView::I64(d)),
            Some(Elements::I32(d)) => Ok(DataView::I32(d)),
            Some(Elements::U8(d)) => Ok(DataView::U8(d)),
        };
        Some(elements.and_then(|elements| TensorView::new(shape, elements)))
    }
}

impl Cut {
    fn of(view: &TensorView<'_>, axes: &[Along], samples: usize, rows: usize) -> Self {
        let whole = view.shape();
        let mut shape = whole.to_vec();
        for along in axes {
            if let Some(size) = shape.get_mut(along.axis) {
                *size = *size / rows * samples;
            }
        }
        if let [Along { axis: 0, outer: 1, .. }] = axes {
            return Self { shape, elements: None };
        }
        let real = |place: &usize| axes.iter().all(|along| row(whole, rows, along, *place) < samples);
        let elements = match view.data() {
            DataView::F32(d) => Elements::F32(pick(d, real)),
            DataView::F64(d) => Elements::F64(pick(d, real)),
            DataView::I64(d) => Elements::I64(pick(d, real)),
            DataView::I32(d) => Elements::I32(pick(d, real)),
            DataView::U8(d) => Elements::U8(pick(d, real)),
        };
        Self { shape, elements: Some(elements) }
    }
}

fn pick<T: Copy>(data: &[T], real: impl Fn(&usize) -> bool) -> Vec<T> {
    data.iter().enumerate().filter(|(place, _)| real(place)).map(|(_, element)| *element).collect()
}

fn first(data: DataView<'_>, elements: usize) -> DataView<'_> {
    match data {
        DataView::F32(d) => DataView::F32(d.get(..elements).unwrap_or(d)),
        DataView::F64(d) => DataView::F64(d.get(..elements).unwrap_or(d)),
        DataView::I64(d) => DataView::I64(d.get(..elements).unwrap_or(d)),
        DataView::I32(d) => DataView::I32(d.get(..elements).unwrap_or(d)),
        DataView::U8(d) => DataView::U8(d.get(..elements).unwrap_or(d)),
    }
}

#[cfg(test)]
mod tests {
    use fmrai_core::tensor::{TensorData, TensorValue};
    use fmrai_core::testing::MemoryActivations;

    use super::*;

    const ROWS: usize = 4;

    /// A tensor of this shape, and the same after the rows have moved: `value` gives the elements of rows with these names.
    fn passes(shape: &[usize], value: impl Fn(&[usize], &[usize; ROWS]) -> f32) -> [TensorValue; 2] {
        let of = |rows: [usize; ROWS]| {
            let elements: usize = shape.iter().product();
            let index = |mut place: usize| {
                let mut index = vec![0; shape.len()];
                for (axis, size) in shape.iter().enumerate().rev() {
                    index[axis] = place % size;
                    place /= size;
                }
                index
            };
            let data = (0..elements).map(|place| value(&index(place), &rows)).collect();
            TensorValue::new(shape.to_vec(), TensorData::F32(data)).unwrap()
        };
        [of([0, 1, 2, 3]), of([3, 0, 1, 2])]
    }

    fn found(shape: &[usize], value: impl Fn(&[usize], &[usize; ROWS]) -> f32) -> Rows {
        let [first, moved] = passes(shape, value);
        read(&first.view(), &moved.view(), ROWS)
    }

    /// Something that depends on all of its arguments.
    fn hash(parts: &[usize]) -> f32 {
        let mixed =
            parts.iter().fold(17u32, |h, p| (h ^ u32::try_from(*p).unwrap()).wrapping_mul(2_654_435_761));
        f32::from(u16::try_from(mixed >> 16).unwrap()) / 65_536.0 - 0.5
    }

    fn along(axis: usize, outer: usize, inner: usize) -> Rows {
        Rows::Along(vec![Along { axis, outer, inner }])
    }

    #[test]
    fn samples_are_found_wherever_they_lie() {
        assert_eq!(found(&[4, 4], |i, rows| hash(&[rows[i[0]], i[1]])), along(0, 1, 1));
        assert_eq!(found(&[4, 4], |i, rows| hash(&[rows[i[1]], i[0]])), along(1, 1, 1), "batch on axis 1");
        assert_eq!(found(&[8, 3], |i, rows| hash(&[rows[i[0] / 2], i[0] % 2, i[1]])), along(0, 1, 2));
        assert_eq!(found(&[8, 3], |i, rows| hash(&[rows[i[0] % 4], i[0] / 4, i[1]])), along(0, 2, 1));
        let heads = |i: &[usize], rows: &[usize; ROWS]| hash(&[i[0] / 12, rows[i[0] / 3 % 4], i[0] % 3]);
        assert_eq!(found(&[24], heads), along(0, 2, 3), "head, sample, token");
    }

    #[test]
    fn what_samples_do_not_change_is_apart_from_them() {
        assert_eq!(found(&[16, 16], |i, _| hash(&[i[0], i[1]])), Rows::Apart, "a constant");
        assert_eq!(found(&[16, 16], |_, _| 0.0), Rows::Apart);
        let noisy_sum = |i: &[usize], rows: &[usize; ROWS]| {
            hash(&[i[0]]) + if rows[0] == 0 { 0.0 } else { 1e-7 * hash(&[i[0], 1]) }
        };
        assert_eq!(found(&[8], noisy_sum), Rows::Apart, "a mean over all samples, to the last digit");
        assert_eq!(found(&[3], |i, rows| hash(&[i[0], rows[0]])), Rows::Apart, "no axis is long enough");
    }

    #[test]
    fn samples_that_are_compared_with_each_other_lie_along_two_axes() {
        let both =
            Rows::Along(vec![Along { axis: 0, outer: 1, inner: 1 }, Along { axis: 1, outer: 1, inner: 1 }]);
        assert_eq!(found(&[4, 4], |i, rows| hash(&[rows[i[0]], rows[i[1]], 3])), both);
    }

    #[test]
    fn what_fits_no_reading_is_unknown() {
        // A shuffle of the samples that depends on all of them.
        let odd = |i: &[usize], rows: &[usize; ROWS]| hash(&[rows[0], i[0], i[1]]);
        assert_eq!(found(&[4, 4], odd), Rows::Unknown);
        let [first, _] = passes(&[4, 4], odd);
        assert_eq!(read(&first.view(), &first.view(), 1), Rows::Unknown, "one row cannot move");
    }

    #[test]
    fn rows_that_depend_on_each_other_are_told() {
        let mean = |rows: &[f32]| {
            let sum: f32 = rows.iter().sum();
            let mut all = rows.to_vec();
            all.iter_mut().for_each(|x| *x -= sum / 4.0);
            TensorValue::new([4], TensorData::F32(all)).unwrap()
        };
        let plain = |rows: &[f32]| TensorValue::new([4], TensorData::F32(rows.to_vec())).unwrap();
        let (a, b, c) = ([1.0, 2.0, 4.0, 8.0], [8.0, 1.0, 2.0, 4.0], [1.0, 2.0, 4.0, 1.0]);
        let rows = along(0, 1, 1);
        assert!(mixes(&rows, &mean(&a).view(), &mean(&b).view(), &mean(&c).view(), 4));
        assert!(!mixes(&rows, &plain(&a).view(), &plain(&b).view(), &plain(&c).view(), 4));
        let loss = |x: f32| TensorValue::new(Vec::new(), TensorData::F32(vec![x])).unwrap();
        assert!(mixes(&Rows::Apart, &loss(15.0).view(), &loss(15.000_001).view(), &loss(8.0).view(), 4));
        assert!(!mixes(&Rows::Apart, &loss(15.0).view(), &loss(15.0).view(), &loss(15.0).view(), 4));
    }

    #[test]
    fn added_rows_are_cut_off_where_they_lie() {
        let activations = MemoryActivations::new()
            .with_f32(TensorId(0), [3, 2], vec![1.0, 2.0, 3.0, 4.0, 3.0, 4.0])
            .unwrap()
            .with_f32(TensorId(1), [2, 3], vec![1.0, 2.0, 2.0, 3.0, 4.0, 4.0])
            .unwrap()
            .with_f32(TensorId(2), [6], vec![1.0, 2.0, 3.0, 4.0, 3.0, 4.0])
            .unwrap()
            .with_f32(TensorId(3), [3, 1], vec![1.0, 2.0, 3.0])
            .unwrap();
        let layout = |rows| Layout { rows, mixed: false };
        let layouts = BTreeMap::from([
            (TensorId(0), layout(along(0, 1, 1))),
            (TensorId(1), layout(along(1, 1, 1))),
            (TensorId(2), layout(along(0, 1, 2))),
            (TensorId(3), layout(Rows::Apart)),
        ]);
        let request = (0..4).map(TensorId).collect();
        let real = RealRows::of(Box::new(activations), &request, &layouts, 2, 3);
        let read = |id| {
            let view = real.tensor(TensorId(id)).unwrap().unwrap();
            (view.shape().to_vec(), view.f32().unwrap().to_vec())
        };
        assert_eq!(read(0), (vec![2, 2], vec![1.0, 2.0, 3.0, 4.0]));
        assert_eq!(read(1), (vec![2, 2], vec![1.0, 2.0, 3.0, 4.0]));
        assert_eq!(read(2), (vec![4], vec![1.0, 2.0, 3.0, 4.0]));
        assert_eq!(read(3), (vec![3, 1], vec![1.0, 2.0, 3.0]), "whole");
        assert!(real.tensor(TensorId(9)).is_none());
        let layout = layout(along(0, 1, 2));
        assert_eq!(layout.row_of(&[6], 3, 3), Some(1));
    }
}
