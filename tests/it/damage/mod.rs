//! Damage to any file of a data directory, of every kind, one at a time: what is damaged is answered by an error that names it, all
//! else is right, and nothing is deleted. `served` is the real binary from end to end; `matrix` every kind of file, of damage and of
//! state, in this process and ten times as fast.

mod files;
mod kinds;
mod matrix;
mod served;
