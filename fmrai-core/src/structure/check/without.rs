//! A structure without some of its components.

use crate::structure::{Structure, Writer};

impl Structure {
    /// Takes out components by role and layer, and numbers the others anew.
    pub(in crate::structure) fn take_out(&mut self, wrong: &[(&str, usize)]) {
        if wrong.is_empty() {
            return;
        }
        let is_wrong = |role: &str, layer: usize| wrong.iter().any(|(r, l)| *r == role && *l == layer);
        // Where each block of attention is afterwards.
        let mut places: Vec<Option<usize>> = Vec::with_capacity(self.attention.len());
        let mut next = 0;
        for block in &self.attention {
            let stays = !is_wrong(block.role(), block.layer);
            places.push(stays.then_some(next));
            next += usize::from(stays);
        }
        self.attention.retain(|block| !is_wrong(block.role(), block.layer));
        self.channel_attention.retain(|block| !is_wrong(block.role(), block.layer));
        self.residual.retain(|write| !is_wrong("addition", write.layer));
        for write in &mut self.residual {
            for writer in &mut write.writers {
                if let Writer::Attention(i) = *writer {
                    *writer = places.get(i).copied().flatten().map_or(Writer::Other, Writer::Attention);
                }
            }
            write.writers.dedup();
        }
        self.number();
    }

    /// Numbers the blocks of each kind in execution order.
    pub(in crate::structure) fn number(&mut self) {
        let mut layers = [0; 3];
        let blocks = self.attention.iter_mut().chain(&mut self.channel_attention);
        for block in blocks {
            let layer: &mut usize = &mut layers[block.kind as usize];
            block.layer = *layer;
            *layer += 1;
        }
        for (layer, write) in self.residual.iter_mut().enumerate() {
            write.layer = layer;
        }
    }
}
