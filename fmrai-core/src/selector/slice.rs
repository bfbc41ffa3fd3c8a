//! Parts of tensors: what belongs to one head or one neuron.

use serde::{Deserialize, Serialize};

use crate::tensor::{OwnedTensor, TensorView};

/// A cut through one axis of a tensor, which leaves one of several units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cut {
    /// The axis, from 0.
    pub axis: usize,
    /// The unit that is left, from 0.
    pub index: usize,
    /// Where the axis holds other things too, merged with the units as in `[batch · head, ...]` with the units innermost: how many units there
    /// are. Every such place beginning with `index` is left, and the axis stays; otherwise the axis is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<usize>,
}

/// The part of a tensor that cuts leave.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Slice(pub Vec<Cut>);

impl Slice {
    fn cut(&self, axis: usize) -> Option<&Cut> {
        self.0.iter().find(|cut| cut.axis == axis)
    }

    /// For each axis of a tensor the places that are left, and whether the axis stays; `None` if the tensor has no such axes.
    fn left(&self, shape: &[usize]) -> Option<Vec<(Vec<usize>, bool)>> {
        if self.0.iter().any(|cut| cut.axis >= shape.len()) {
            return None;
        }
        let of = |(axis, size): (usize, &usize)| match self.cut(axis) {
            None => Some(((0..*size).collect(), true)),
            Some(Cut { index, merged: None, .. }) => (index < size).then(|| (vec![*index], false)),
            Some(Cut { index, merged: Some(count), .. }) => {
                let fits = *count > 0 && size.is_multiple_of(*count) && index < count;
                fits.then(|| ((*index..*size).step_by(*count).collect(), true))
            }
        };
        shape.iter().enumerate().map(of).collect()
    }

    /// The sizes of the part of a tensor of this shape; `None` if it has no such part.
    #[must_use]
    pub fn shape(&self, shape: &[usize]) -> Option<Vec<usize>> {
        let left = self.left(shape)?;
        Some(left.into_iter().filter(|(_, stays)| *stays).map(|(places, _)| places.len()).collect())
    }

    /// The part of a tensor; `None` if it has no such part.
    #[must_use]
    pub fn of(&self, view: &TensorView<'_>) -> Option<OwnedTensor> {
        let left = self.left(view.shape())?;
        let mut places = vec![0];
        for ((along, _), size) in left.iter().zip(view.shape()) {
            places =
                places.iter().flat_map(|outer| along.iter().map(move |place| outer * size + place)).collect();
        }
        let shape = left.iter().filter(|(_, stays)| *stays).map(|(places, _)| places.len()).collect();
        Some(OwnedTensor::gathered(view, shape, &places))
    }

    /// The names of the part's axes, from those of the whole tensor.
    #[must_use]
    pub fn axes(&self, whole: &[String]) -> Vec<String> {
        let of = |(axis, name): (usize, &String)| match self.cut(axis) {
            None => Some(name.clone()),
            Some(Cut { merged: Some(_), .. }) => Some(name.split(" · ").next().unwrap_or(name).to_owned()),
            Some(Cut { merged: None, .. }) => None,
        };
        whole.iter().enumerate().filter_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::DataView;

    #[test]
    fn a_head_of_its_own_axis_and_one_that_is_merged() {
        // [batch 2, head 3, position 2], and the same as [batch · head, position].
        let data: Vec<f32> = (0u8..12).map(f32::from).collect();
        let part = |shape: &[usize], cut: Cut| {
            let part = Slice(vec![cut]).of(&TensorView::new(shape, DataView::F32(&data)).unwrap())?;
            let view = part.view().unwrap();
            Some((view.shape().to_vec(), view.f32().unwrap().to_vec()))
        };
        let expected = Some((vec![2, 2], vec![2.0, 3.0, 8.0, 9.0]));
        assert_eq!(part(&[2, 3, 2], Cut { axis: 1, index: 1, merged: None }), expected);
        assert_eq!(part(&[6, 2], Cut { axis: 0, index: 1, merged: Some(3) }), expected);
        assert_eq!(part(&[2, 3, 2], Cut { axis: 1, index: 3, merged: None }), None);
        assert_eq!(part(&[2, 3, 2], Cut { axis: 3, index: 0, merged: None }), None);
        assert_eq!(part(&[4, 3], Cut { axis: 0, index: 1, merged: Some(3) }), None);
    }

    #[test]
    fn axes_keep_their_names() {
        let names = |axes: &[&str], cut| {
            Slice(vec![cut]).axes(&axes.iter().map(|axis| (*axis).to_owned()).collect::<Vec<_>>()).join(", ")
        };
        let own = Cut { axis: 1, index: 0, merged: None };
        assert_eq!(names(&["batch", "head", "query", "key"], own), "batch, query, key");
        let merged = Cut { axis: 0, index: 0, merged: Some(4) };
        assert_eq!(names(&["batch · head", "query", "key"], merged), "batch, query, key");
    }
}
