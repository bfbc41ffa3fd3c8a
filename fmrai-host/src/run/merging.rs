//! What runs of parts of the data have absorbed, put together.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::parity::ParityReport;
use super::session::Session;
use super::told::Told;
use crate::checkpoint::{Captured, Checkpoint, MergeError, Share, batches};
use crate::error::Error;
use crate::plan::Parity;
use crate::results::folder::{ACTIVATIONS, FolderError, holder};
use crate::results::write_with;

/// What one folder has of the run.
struct Piece {
    folder: PathBuf,
    checkpoint: Checkpoint,
}

impl Piece {
    fn absorbed(&self) -> Vec<Range<u64>> {
        self.checkpoint
            .share
            .absorbed(self.checkpoint.batches)
            .into_iter()
            .filter(|range| !range.is_empty())
            .collect()
    }
}

impl Session<'_> {
    /// Starts from what the runs in these folders have absorbed: of all of the data, or, where `partial` says so, of some of them.
    pub(super) fn merge(&mut self, folders: &[PathBuf], partial: bool) -> Result<(), Error> {
        let of = self.source.total()?;
        let mut pieces = self.pieces(folders)?;
        pieces.sort_by_key(|piece| piece.absorbed().first().map_or(0, |range| range.start));
        let absorbed = together(&pieces, of)?;
        let whole = absorbed.len() == 1 && absorbed.first() == Some(&(0..of));
        if !whole && !partial {
            return Err(MergeError::Missing { of, missing: missing(&pieces, &absorbed, of) }.into());
        }
        self.start_anew()?;
        if let Some(recorder) = &mut self.recorder
            && let Some(keeper) = &self.keeper
        {
            take_batches(&pieces, keeper.output())?;
            recorder.resume()?;
        }
        let mut told = Told::default();
        let mut parity = Vec::new();
        for Piece { folder, checkpoint } in &pieces {
            for lane in &mut self.lanes {
                lane.restore(checkpoint.analysis(&lane.name, folder)?)?;
            }
            self.counts = self.counts.plus(checkpoint.counts);
            told.merge(&checkpoint.told);
            self.data_batches += checkpoint.data_batches;
            self.skipped.merge(&checkpoint.skipped);
            parity.extend(checkpoint.parity.clone());
        }
        self.told = told;
        let every = self
            .keeper
            .as_ref()
            .is_some_and(|keeper| keeper.place.document["parity"] == json!(Parity::Every));
        self.source.set_parity(ParityReport::of_parts(parity, every));
        self.merged = folders.to_vec();
        self.batches_done = absorbed.iter().map(|range| range.end - range.start).sum();
        if !whole {
            let batches = absorbed.into_iter().map(|range| (range.start, range.end)).collect();
            self.share = Share::Merged { of, batches };
        }
        Ok(())
    }

    /// The checkpoints of all folders, all of this run.
    fn pieces(&self, folders: &[PathBuf]) -> Result<Vec<Piece>, Error> {
        let Some(keeper) = &self.keeper else { return Ok(Vec::new()) };
        let piece = |folder: &PathBuf| -> Result<Piece, Error> {
            if let Some(holder) = holder(folder) {
                return Err(FolderError::Busy { path: folder.clone(), holder }.into());
            }
            let checkpoint =
                Checkpoint::load(folder)?.ok_or_else(|| MergeError::Nothing { path: folder.clone() })?;
            checkpoint.check_part(keeper.identity(), folder)?;
            Ok(Piece { folder: folder.clone(), checkpoint })
        };
        folders.iter().map(piece).collect()
    }
}

/// The batches that all pieces have together, as few ranges as there can be.
fn together(pieces: &[Piece], of: u64) -> Result<Vec<Range<u64>>, MergeError> {
    let mut all: Vec<(Range<u64>, &Path)> = Vec::new();
    for piece in pieces {
        let known = piece.checkpoint.share.of().is_none_or(|known| known == of);
        for range in piece.absorbed() {
            if range.end > of || !known {
                let found = batches(&range);
                return Err(MergeError::Outside { path: piece.folder.clone(), found, of });
            }
            all.push((range, &piece.folder));
        }
    }
    all.sort_by_key(|(range, _)| range.start);
    for pair in all.windows(2) {
        let [(first, one), (second, other)] = pair else { continue };
        if second.start < first.end {
            let both = second.start..first.end.min(second.end);
            let (first, second) = (one.to_path_buf(), other.to_path_buf());
            return Err(MergeError::Doubled { batches: batches(&both), first, second });
        }
    }
    let mut together: Vec<Range<u64>> = Vec::new();
    for (range, _) in all {
        match together.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => together.push(range),
        }
    }
    Ok(together)
}

/// What is in no piece, and which pieces were to have it.
fn missing(pieces: &[Piece], absorbed: &[Range<u64>], of: u64) -> String {
    let ends = absorbed.iter().map(|range| range.end);
    let starts = absorbed.iter().map(|range| range.start);
    let gaps = std::iter::once(0).chain(ends).zip(starts.chain([of])).map(|(from, to)| from..to);
    let gaps: Vec<String> = gaps.filter(|gap| gap.start < gap.end).map(|gap| batches(&gap)).collect();
    let half_done = pieces.iter().filter_map(|piece| {
        let left = piece.checkpoint.share.left(piece.checkpoint.batches);
        (!left.is_empty())
            .then(|| format!("{} of {} are not done there", batches(&left), piece.folder.display()))
    });
    gaps.into_iter().chain(half_done).collect::<Vec<_>>().join("; ")
}

/// Copies the captured batches of all pieces, and the list of them.
fn take_batches(pieces: &[Piece], output: &Path) -> Result<(), Error> {
    let list = Captured::of(output);
    let mut all = std::collections::BTreeMap::new();
    for Piece { folder, .. } in pieces {
        let unreadable =
            |path: PathBuf| move |source| crate::checkpoint::ResumeError::Unreadable { path, source };
        for (file, sha256) in Captured::of(folder).read().map_err(unreadable(folder.clone()))? {
            let from = folder.join(ACTIVATIONS).join(&file);
            let mut bytes = std::fs::File::open(&from).map_err(unreadable(from.clone()))?;
            write_with(&output.join(ACTIVATIONS).join(&file), |into| std::io::copy(&mut bytes, into))?;
            all.insert(file, sha256);
        }
    }
    Ok(list.write(&all)?)
}
