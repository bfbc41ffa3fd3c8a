use fmrai_core::graph::from_json; use fmrai_core::structure::*; use std::io::Read;
fn main(){ let verbose=std::env::var("V").is_ok(); for path in std::env::args().skip(1){ let mut t=String::new(); if path.ends_with(".gz") { flate2::read::GzDecoder::new(std::fs::File::open(&path).unwrap()).read_to_string(&mut t).unwrap(); } else { t=std::fs::read_to_string(&path).unwrap(); }
 let Ok(g)=from_json(&t) else { println!("{path}: unreadable"); continue };
 let (s,c)=Structure::with_coverage(&g);
 let name=path.rsplit('/').next().unwrap();
 let att=|k| s.attention.iter().filter(|a|a.kind==k).count();
 let heads: std::collections::BTreeSet<String> = s.attention.iter().map(|a| format!("{}/{}",a.heads,a.key_value_heads)).collect();
 let mut ffn: std::collections::BTreeMap<String,usize> = Default::default(); for f in &s.feed_forward { *ffn.entry(format!("{}{} {} {}x{}",f.role(), if f.gated(){" gated"}else{""}, f.function, f.experts.map_or(1,|e|e.count), f.neurons)).or_default()+=1; }
 let mut emb: std::collections::BTreeMap<&str,usize> = Default::default(); for e in &s.embeddings { *emb.entry(e.kind.name()).or_default()+=1; }
 let streams = s.residual.iter().map(|r|r.stream+1).max().unwrap_or(0);
 let other = s.residual.iter().filter(|r| r.writers.contains(&Writer::Other)).count();
 println!("{name}: self {} cross {} chan {} heads {:?} | ffn {:?} | res {} streams {} other {} | emb {:?} | unemb {:?} | norms {} | {}/{} left {:?}", att(AttentionKind::SelfAttention), att(AttentionKind::CrossAttention), s.channel_attention.len(), heads, ffn, s.residual.len(), streams, other, emb, s.unembedding.iter().map(|u| format!("{} {}",u.role(),u.size)).collect::<Vec<_>>(), s.norms.len(), c.understood(), c.operations, c.left_over);
 if verbose { for a in s.attention.iter().chain(&s.channel_attention) { println!("   {:?} {} {:?} vis {:?} axes q{:?} k{:?} v{:?} p{:?} c{:?}", a.kind, a.layer, a.form, a.visible, a.axes.query,a.axes.key,a.axes.value,a.axes.probabilities,a.axes.context); } for r in &s.residual { println!("   res {} stream {} before {} written {} after {} by {:?}", r.layer, r.stream, r.before, r.written, r.after, r.writers);} for f in &s.feed_forward { println!("   ffn in {} pre {} act {} out {}", f.input, f.pre_activation, f.activation, f.output);} for e in &s.embeddings { println!("   emb {:?} {:?} -> {}", e.kind, e.input, e.output);} let n:Vec<_>=c.left_over_operations.iter().map(|o|{let o=&g.operations()[o.0 as usize]; format!("{} {}",o.id.0,o.name)}).collect(); println!("   left {n:?}"); }
 if std::env::var("G").is_ok() { for o in g.operations() { println!("     {} {} {:?} -> {:?}", o.id.0, o.name, o.arguments.iter().map(|a| format!("{}={:?}",a.name,a.value)).collect::<Vec<_>>().join(" "), o.outputs.iter().map(|t| format!("{}{:?}", t, g.tensor(*t).unwrap().shape)).collect::<Vec<_>>()); } }
 } }
use fmrai_core::graph::Graph;
