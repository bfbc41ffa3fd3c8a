//! The part of a plan that says where the model runs.

use std::fmt;
use std::str::FromStr;

use fmrai_torch::{Device, cuda_devices};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

/// Where a model runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// On the processor.
    #[default]
    Cpu,
    /// On a CUDA device, by its number.
    Cuda(usize),
    /// On the first CUDA device if there is one, else on the processor.
    Auto,
}

/// The form that it has in a plan, for the schema.
const PATTERN: &str = "^(cpu|auto|cuda(:[0-9]{1,3})?)$";

impl DeviceChoice {
    /// The device of libtorch.
    ///
    /// # Errors
    /// A sentence, where there is no such device.
    pub fn device(self) -> Result<Device, String> {
        match (self, cuda_devices()) {
            (Self::Cpu, _) | (Self::Auto, 0) => Ok(Device::Cpu),
            (Self::Auto, _) => Ok(Device::Cuda(0)),
            (Self::Cuda(index), count) if index < count => Ok(Device::Cuda(index)),
            (Self::Cuda(_), 0) => Err(format!(
                "{self} is asked for, and libtorch finds no CUDA device: it needs one, and a build of libtorch for CUDA (LIBTORCH)"
            )),
            (Self::Cuda(_), count) => {
                Err(format!("{self} is asked for, and the last CUDA device is cuda:{}", count - 1))
            }
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no device: needed cpu, cuda, cuda:N or auto");
        match text {
            "cpu" => Ok(Self::Cpu),
            "auto" => Ok(Self::Auto),
            "cuda" => Ok(Self::Cuda(0)),
            other => {
                let index = other.strip_prefix("cuda:").filter(|n| n.len() <= 3).ok_or_else(wrong)?;
                let digits = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
                index.parse().ok().filter(|_| digits).map(Self::Cuda).ok_or_else(wrong)
            }
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Auto => f.write_str("auto"),
        }
    }
}

impl Serialize for DeviceChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DeviceChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The schema of the field.
pub(super) fn schema() -> Value {
    json!({
        "type": "string",
        "pattern": PATTERN,
        "default": "cpu",
        "description": "where the model runs: cpu, cuda, cuda:1, ..., or auto, the first CUDA device if there is one"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_and_written() {
        for (text, place) in [
            ("cpu", Some(DeviceChoice::Cpu)),
            ("cuda", Some(DeviceChoice::Cuda(0))),
            ("cuda:12", Some(DeviceChoice::Cuda(12))),
            ("auto", Some(DeviceChoice::Auto)),
            ("gpu", None),
            ("cuda:", None),
            ("cuda:-1", None),
            ("cuda:1234", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<DeviceChoice>().ok(), place, "{text}");
            let validator = jsonschema::draft202012::options().build(&schema()).unwrap();
            assert_eq!(validator.is_valid(&json!(text)), place.is_some(), "{text}");
            if let Some(place) = place {
                assert_eq!(place.to_string().parse(), Ok(place));
            }
        }
    }

    #[test]
    fn what_is_not_there_is_refused_and_auto_takes_what_is_there() {
        assert_eq!(DeviceChoice::Cpu.device(), Ok(Device::Cpu));
        assert!(DeviceChoice::Cuda(999).device().unwrap_err().starts_with("cuda:999 is asked for, and "));
        assert_eq!(
            DeviceChoice::Auto.device().is_ok_and(|device| device == Device::Cpu),
            cuda_devices() == 0
        );
    }
}
