//! Which blocks write into the streams.

use crate::structure::{Attention, FeedForward};

use super::find::Write;
use super::{Residual, Writer};

/// The additions, each with the blocks that computed what is added.
pub(in crate::structure) fn with_writers(
    writes: &[Write],
    attention: &[Attention],
    feed_forward: &[(usize, FeedForward)],
) -> Vec<Residual> {
    let mut residual: Vec<Residual> = writes.iter().map(|write| write.residual.clone()).collect();
    for (i, block) in attention.iter().enumerate() {
        let within = writes.iter().position(|w| w.region.binary_search(&block.operation).is_ok());
        if let Some(write) = within.and_then(|w| residual.get_mut(w)) {
            write.writers.push(Writer::Attention(i));
        }
    }
    for (i, (write, _)) in feed_forward.iter().enumerate() {
        if let Some(write) = residual.get_mut(*write) {
            write.writers.push(Writer::FeedForward(i));
        }
    }
    for write in residual.iter_mut().filter(|w| w.writers.is_empty()) {
        write.writers.push(Writer::Other);
    }
    residual
}
