//! What is read of streams, over decoders of the references: the logit lens and direct logit attribution against PyTorch in float64, and
//! under every law of the contract.

mod direct;
mod logit_lens;
mod recording;
