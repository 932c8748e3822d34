//! What a task requests of a machine, what a worker offers, and what an attempt was granted.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;

use crate::duration;

/// A number of processors, exact to a thousandth. On the wire, it is a JSON number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpus(u32);

impl Cpus {
    /// One processor.
    pub const ONE: Self = Self(1_000);
    /// The largest number.
    pub const MAX: Self = Self(1_000_000_000);

    /// A number of thousandths, up to [`Self::MAX`].
    pub const fn from_thousandths(thousandths: u32) -> Self {
        if thousandths > Self::MAX.0 { Self::MAX } else { Self(thousandths) }
    }

    /// A whole number of processors, up to [`Self::MAX`].
    pub fn whole(number: usize) -> Self {
        Self::from_thousandths(u32::try_from(number.saturating_mul(1_000)).unwrap_or(u32::MAX))
    }

    /// The number of thousandths.
    pub const fn thousandths(self) -> u32 {
        self.0
    }

    /// The number of threads that use it well: rounded down, at least one.
    pub const fn threads(self) -> u32 {
        if self.0 < 2_000 { 1 } else { self.0 / 1_000 }
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1_000, self.0 % 1_000);
        match rest {
            0 => write!(f, "{whole}"),
            rest => write!(f, "{whole}.{}", format!("{rest:03}").trim_end_matches('0')),
        }
    }
}

/// A text that is not a number of processors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid number of cpus `{0}`: expected a number such as 4 or 0.5, with at most three decimals")]
pub struct InvalidCpus(String);

impl FromStr for Cpus {
    type Err = InvalidCpus;

    fn from_str(text: &str) -> Result<Self, InvalidCpus> {
        let invalid = || InvalidCpus(text.to_owned());
        let (whole, rest) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(rest) || rest.len() > 3 {
            return Err(invalid());
        }
        let thousandths: u32 = format!("{rest:0<3}").parse().map_err(|_| invalid())?;
        let whole: u32 = whole.parse().map_err(|_| invalid())?;
        let all = whole.checked_mul(1_000).and_then(|whole| whole.checked_add(thousandths));
        all.map(Self).filter(|cpus| *cpus <= Self::MAX).ok_or_else(invalid)
    }
}

impl Serialize for Cpus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 % 1_000 {
            0 => serializer.serialize_u32(self.0 / 1_000),
            _ => serializer.serialize_f64(f64::from(self.0) / 1_000.0),
        }
    }
}

impl<'de> Deserialize<'de> for Cpus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CpusVisitor)
    }
}

/// Reads a number, or its text: some languages of job files keep the spelling of numbers.
struct CpusVisitor;

impl de::Visitor<'_> for CpusVisitor {
    type Value = Cpus;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of cpus such as 4 or 0.5")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Cpus, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Cpus, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Cpus, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Cpus, E> {
        text.parse().map_err(E::custom)
    }
}

/// What a task requests of the worker that runs it. The default is one processor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub struct ResourceRequest {
    /// The number of processors; fractions are allowed.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    #[schema(value_type = f64, example = 0.5)]
    pub cpus: Cpus,
    /// Memory in bytes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub memory: u64,
    /// The number of GPUs.
    #[serde(default, skip_serializing_if = "is_no_gpu")]
    pub gpus: u32,
    /// A part of the name of the GPUs' model, in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_model: Option<String>,
    /// How many of other resources, by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub named: BTreeMap<String, u64>,
    /// How long the task is expected to run, for workers whose lifetime is limited; the timeout of the task if absent.
    #[serde(default, with = "duration::optional_text", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "2h")]
    pub time: Option<Duration>,
}

impl Default for ResourceRequest {
    fn default() -> Self {
        Self { cpus: Cpus::ONE, memory: 0, gpus: 0, gpu_model: None, named: BTreeMap::new(), time: None }
    }
}

impl ResourceRequest {
    /// Whether it is the request of a task that names none.
    pub fn is_default(&self) -> bool {
        let Self { cpus, memory, gpus, gpu_model, named, time } = self;
        *cpus == Cpus::ONE
            && *memory == 0
            && *gpus == 0
            && gpu_model.is_none()
            && named.is_empty()
            && time.is_none()
    }
}

fn one() -> Cpus {
    Cpus::ONE
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(cpus: &Cpus) -> bool {
    *cpus == Cpus::ONE
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_no_gpu(number: &u32) -> bool {
    *number == 0
}

/// What a native worker offers to its tasks together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResourceOffer {
    /// The number of processors.
    #[schema(value_type = f64, example = 8)]
    pub cpus: Cpus,
    /// Memory in bytes.
    #[serde(default)]
    pub memory: u64,
    /// The number of GPUs.
    #[serde(default, skip_serializing_if = "is_no_gpu")]
    pub gpus: u32,
    /// The model that all GPUs have, if they have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_model: Option<String>,
    /// How many of other resources, by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub named: BTreeMap<String, u64>,
    /// The largest number of tasks at once. A worker with one gives it the whole machine.
    pub tasks: u32,
}

/// What an attempt may use: it holds these until it ends.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Granted {
    /// The number of processors.
    #[schema(value_type = Option<f64>)]
    pub cpus: Option<Cpus>,
    /// Memory in bytes; none without a limit.
    pub memory: Option<u64>,
    /// The GPUs, by their indices; none if the worker restricts no GPUs.
    pub gpus: Option<Vec<String>>,
    /// Other resources, by their names.
    pub named: BTreeMap<String, GrantedResource>,
}

/// A granted amount of a named resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum GrantedResource {
    /// A number of equal units.
    Units(u64),
    /// Certain units, by their indices.
    Indices(Vec<String>),
}

impl fmt::Display for GrantedResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Units(units) => write!(f, "{units}"),
            Self::Indices(indices) => f.write_str(&indices.join(",")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_exact_to_a_thousandth() {
        for (text, thousandths) in [("1", 1_000), ("0.5", 500), ("0", 0), ("12.25", 12_250), ("0.001", 1)] {
            let cpus: Cpus = text.parse().unwrap();
            assert_eq!((cpus.thousandths(), cpus.to_string()), (thousandths, text.to_owned()));
            let json = serde_json::to_string(&cpus).unwrap();
            assert_eq!((json.as_str(), serde_json::from_str::<Cpus>(&json).unwrap()), (text, cpus));
        }
        assert_eq!(serde_json::from_str::<Cpus>("2.0").unwrap(), Cpus::whole(2));
        for wrong in ["", ".5", "5.", "-1", "1e3", "0.0001", "x", "1 ", "9999999999", "2000000"] {
            assert!(wrong.parse::<Cpus>().is_err(), "{wrong}");
        }
        assert_eq!(serde_json::from_str::<Cpus>("\"1.5\"").unwrap().thousandths(), 1_500);
        for wrong in ["-1", "\"many\"", "[1]", "true"] {
            assert!(serde_json::from_str::<Cpus>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn default_request_is_an_empty_object() {
        let request = ResourceRequest::default();
        assert!(request.is_default());
        assert_eq!(serde_json::to_string(&request).unwrap(), "{}");
        assert_eq!(serde_json::from_str::<ResourceRequest>("{}").unwrap(), request);
        let text = r#"{"cpus":0.5,"memory":1024,"gpus":2,"gpu_model":"a100","named":{"lic":1},"time":"2h"}"#;
        let request: ResourceRequest = serde_json::from_str(text).unwrap();
        assert!(!request.is_default());
        assert_eq!(serde_json::to_string(&request).unwrap(), text);
    }

    #[test]
    fn threads_are_whole_processors() {
        let threads: Vec<u32> = [0, 1, 999, 1_000, 1_999, 2_000, 8_500]
            .map(|thousandths| Cpus::from_thousandths(thousandths).threads())
            .to_vec();
        assert_eq!(threads, [1, 1, 1, 1, 1, 2, 8]);
    }
}
