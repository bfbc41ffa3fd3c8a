//! What has a hash is what was used, and no path that a person can write brings the program down.

mod files;
mod paths;
