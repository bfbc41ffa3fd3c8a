//! The stream as what follows reads it.

use fmrai_core::graph::TensorId;
use fmrai_core::structure::Structure;

/// For each addition to a residual stream ([`Structure::residual`]), the stream after it as blocks read it: the sum, or, in
/// models that normalise the sum itself (post-norm), what its normalisation gives.
///
/// A stream is post-norm if each addition but the first is to the normalised result of the one before.
#[must_use]
pub fn settled(structure: &Structure) -> Vec<TensorId> {
    let writes = &structure.residual;
    let normed = |sum: TensorId| structure.norms.iter().filter(move |n| n.input == sum).map(|n| n.output);
    let next = |at: usize| writes.iter().skip(at + 1).find(|w| w.stream == writes[at].stream);
    let link = |at: usize| next(at).map(|next| normed(writes[at].after).any(|output| output == next.before));
    let post_norm = |stream: usize| {
        let links = (0..writes.len()).filter(|at| writes[*at].stream == stream).filter_map(link);
        links.fold(None, |all: Option<bool>, one| Some(all.unwrap_or(true) && one)) == Some(true)
    };
    let settled = |(at, write): (usize, &fmrai_core::structure::Residual)| match next(at) {
        Some(next) if link(at) == Some(true) => next.before,
        Some(_) => write.after,
        None if post_norm(write.stream) => normed(write.after).next().unwrap_or(write.after),
        None => write.after,
    };
    writes.iter().enumerate().map(settled).collect()
}

#[cfg(test)]
mod tests {
    use fmrai_core::graph::OperationId;
    use fmrai_core::structure::{Addition, Norm, NormKind, Residual, Writer};

    use super::*;

    fn write(layer: usize, stream: usize, before: u32, after: u32) -> Residual {
        Residual {
            layer,
            stream,
            module: String::new(),
            operation: OperationId(0),
            before: TensorId(before),
            written: TensorId(900),
            after: TensorId(after),
            addition: Addition::Sum,
            writers: vec![Writer::Other],
        }
    }

    fn norm(input: u32, output: u32) -> Norm {
        Norm {
            layer: 0,
            kind: NormKind::Layer,
            module: String::new(),
            input: TensorId(input),
            output: TensorId(output),
            weight: None,
            bias: None,
            eps: None,
            operations: Vec::new(),
        }
    }

    fn ids(structure: &Structure) -> Vec<u32> {
        settled(structure).iter().map(|id| id.0).collect()
    }

    #[test]
    fn sums_are_streams_unless_they_are_normalised_before_anything_reads_them() {
        let residual = vec![write(0, 0, 1, 2), write(1, 0, 2, 3), write(2, 1, 7, 8)];
        // Each sum is read through a norm, as in GPT-2; the stream goes on without it.
        let norms = vec![norm(2, 12), norm(3, 13), norm(8, 18)];
        let pre = Structure { residual, norms: norms.clone(), ..Structure::default() };
        assert_eq!(ids(&pre), [2, 3, 8]);
        // The next addition is to the normalised sum, as in BERT. Another stream says nothing of this one.
        let residual = vec![write(0, 0, 1, 2), write(1, 0, 12, 3), write(2, 1, 7, 8)];
        let post = Structure { residual, norms, ..Structure::default() };
        assert_eq!(ids(&post), [12, 13, 8]);
    }
}
