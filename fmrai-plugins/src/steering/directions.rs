//! Directions of the stream, one for each place.

use std::path::Path;

use fmrai_core::tensor::{TensorData, TensorValue, from_safetensors};

/// The tensor that is read of a file where none is named.
const DIRECTION: &str = "direction";

/// Largest file that is read, in bytes.
const LARGEST: u64 = 1 << 30;

/// Directions of the stream: one that is the same everywhere, or one for each place, `[stream, channel]`: before each block, and perhaps after
/// the last one.
#[derive(Debug, Clone, PartialEq)]
pub struct Directions {
    value: TensorValue,
}

impl Directions {
    /// Of a tensor `[channel]` or `[stream, channel]`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of(value: &TensorValue) -> Result<Self, String> {
        if !(1..=2).contains(&value.shape().len()) {
            return Err(format!("has shape {:?}, needed [channel] or [stream, channel]", value.shape()));
        }
        let elements: Vec<f64> = match value.data() {
            TensorData::F32(elements) => elements.iter().copied().map(f64::from).collect(),
            TensorData::F64(elements) => elements.clone(),
            TensorData::I64(_) => return Err("holds whole numbers, needed floating-point numbers".to_owned()),
        };
        if elements.is_empty() {
            return Err("is empty".to_owned());
        }
        if elements.iter().any(|x| !x.is_finite()) {
            return Err("holds NaN or infinity".to_owned());
        }
        let value = TensorValue::new(value.shape(), elements.into()).map_err(|error| error.to_string())?;
        Ok(Self { value })
    }

    /// Reads them from a safetensors file: the tensor of this name; where none is given, the one called `direction`, or the only one.
    ///
    /// # Errors
    /// What is wrong with the file or the tensor, the path included.
    pub fn read(path: &Path, tensor: Option<&str>) -> Result<Self, String> {
        let shown = path.display();
        let io = |error: std::io::Error| format!("{shown}: {error}");
        let meta = std::fs::metadata(path).map_err(io)?;
        if !meta.is_file() {
            return Err(format!("{shown}: is no regular file, needed a safetensors file"));
        }
        if meta.len() > LARGEST {
            return Err(format!(
                "{shown}: has {} bytes, a file of directions has at most {LARGEST}",
                meta.len()
            ));
        }
        let bytes = std::fs::read(path).map_err(io)?;
        let (tensors, _) = from_safetensors(&bytes).map_err(|what| format!("{shown}: {what}"))?;
        let name = match tensor {
            Some(name) => name,
            None if tensors.iter().any(|(name, _)| name == DIRECTION) => DIRECTION,
            None => match tensors.as_slice() {
                [(only, _)] => only,
                _ => {
                    return Err(format!(
                        "{shown}: {}",
                        listed("has several tensors and none called `direction`", &tensors)
                    ));
                }
            },
        };
        let found = tensors.iter().find(|(found, _)| found == name);
        let (_, value) = found
            .ok_or_else(|| format!("{shown}: {}", listed(&format!("has no tensor {name:?}"), &tensors)))?;
        Self::of(value).map_err(|what| format!("{shown}: the tensor {name:?} {what}"))
    }

    /// How many places there is a direction for; `None` for one that is the same everywhere.
    #[must_use]
    pub fn places(&self) -> Option<usize> {
        match *self.value.shape() {
            [places, _] => Some(places),
            _ => None,
        }
    }

    /// All of them, as a tensor `[channel]` or `[stream, channel]`.
    #[must_use]
    pub fn value(&self) -> &TensorValue {
        &self.value
    }

    /// Channels of the stream.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.value.shape().last().copied().unwrap_or(0)
    }

    /// The direction at a place; `None` where there is none.
    #[must_use]
    pub fn at(&self, place: usize) -> Option<&[f64]> {
        let place = if self.places().is_some() { place } else { 0 };
        let channels = self.channels();
        self.value.f64().ok()?.get(place * channels..(place + 1) * channels)
    }

    /// Its length at a place; NaN where there is none.
    #[must_use]
    pub fn norm(&self, place: usize) -> f64 {
        self.at(place).map_or(f64::NAN, |direction| direction.iter().map(|x| x * x).sum::<f64>().sqrt())
    }
}

/// What is wrong with the tensors of a file, and which there are.
fn listed(what: &str, tensors: &[(String, TensorValue)]) -> String {
    let names: Vec<&str> = tensors.iter().map(|(name, _)| name.as_str()).take(20).collect();
    let more = if tensors.len() > names.len() { ", ..." } else { "" };
    format!("{what}, there are: {}{more}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use fmrai_core::tensor::to_safetensors;

    use super::*;

    fn value(shape: &[usize], elements: Vec<f64>) -> TensorValue {
        TensorValue::new(shape, elements.into()).unwrap()
    }

    #[test]
    fn one_direction_is_the_same_everywhere() {
        let one = Directions::of(&value(&[2], vec![3.0, 4.0])).unwrap();
        assert_eq!((one.at(7), one.norm(7), one.places()), (Some(&[3.0, 4.0][..]), 5.0, None));
        let two = Directions::of(&value(&[2, 1], vec![1.0, -2.0])).unwrap();
        assert_eq!((two.at(1), two.at(2), two.norm(1)), (Some(&[-2.0][..]), None, 2.0));
        assert!(two.norm(2).is_nan());
        for (wrong, said) in [
            (value(&[1, 1, 1], vec![1.0]), "shape"),
            (value(&[0], vec![]), "empty"),
            (value(&[1], vec![f64::NAN]), "NaN"),
            (TensorValue::new([1], vec![1_i64].into()).unwrap(), "whole"),
        ] {
            let what = Directions::of(&wrong).unwrap_err();
            assert!(what.contains(said), "{what}");
        }
    }

    #[test]
    fn the_tensor_of_a_file_is_found_by_its_name_or_is_the_only_one() {
        let folder = std::env::temp_dir().join(format!("fmrai-directions-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("d.safetensors");
        let (a, b) = (value(&[1], vec![1.0]), value(&[1], vec![2.0]));
        let write = |tensors: &[(&str, &TensorValue)]| {
            std::fs::write(&path, to_safetensors(tensors.iter().copied(), HashMap::new()).unwrap()).unwrap();
        };
        let first = |name| Directions::read(&path, name).map(|found| found.at(0).unwrap()[0]);
        write(&[("a", &a)]);
        assert_eq!((first(None), first(Some("a"))), (Ok(1.0), Ok(1.0)));
        assert!(first(Some("c")).unwrap_err().ends_with("has no tensor \"c\", there are: a"));
        write(&[("a", &a), ("b", &b)]);
        assert!(first(None).unwrap_err().contains("none called `direction`"));
        write(&[("a", &a), ("direction", &b)]);
        assert_eq!(first(None), Ok(2.0));
        std::fs::write(&path, b"no").unwrap();
        assert!(first(None).is_err() && Directions::read(&folder, None).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
