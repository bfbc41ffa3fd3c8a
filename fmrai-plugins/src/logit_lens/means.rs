//! What is concluded of the streams.

use super::analysis::LogitLens;
use super::streams::{Place, Streams};

/// Units of the measures.
pub(super) const UNITS: [Option<&str>; 4] = [None, None, Some("nats"), Some("nats")];

/// The means of a measure, before each block and behind all of them, and between attention and feed-forward part.
pub(super) struct Means {
    pub(super) layers: Vec<f64>,
    /// NaN for a block that has no stream between.
    pub(super) between: Vec<f64>,
}

/// The means of one measure.
pub(super) fn means(analysis: &LogitLens, streams: &Streams, measure: usize) -> Means {
    let mut means =
        Means { layers: vec![f64::NAN; streams.layers()], between: vec![f64::NAN; streams.blocks] };
    for (stream, (place, _)) in streams.at.iter().enumerate() {
        let cell = match place {
            Place::Layer(at) => means.layers.get_mut(*at),
            Place::Between(at) => means.between.get_mut(*at),
        };
        cell.into_iter().for_each(|cell| *cell = analysis.sums.mean(stream, measure));
    }
    means
}

/// What people have to know before they trust the numbers.
pub(super) fn warnings(analysis: &LogitLens, streams: &Streams) -> Vec<String> {
    let agreement = analysis.sums.agreement;
    let differing = (agreement.agreeing < agreement.positions).then(|| {
        format!(
            "read through the map that was found in the graph, the last stream has the model's own most probable token at {} of {} \
             positions; logits differ by up to {:.3}",
            agreement.agreeing, agreement.positions, agreement.difference
        )
    });
    let unchecked = streams.lens.logits().err();
    let unchecked = unchecked.map(|reason| {
        format!("what is read of the streams was not compared with the model's logits: {reason}")
    });
    differing.into_iter().chain(unchecked).collect()
}
