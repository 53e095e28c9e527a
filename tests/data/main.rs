//! Files of data: good ones, and bad ones, which give typed errors and never a panic.
#![cfg(feature = "data")]

mod csv;
mod csv_columns;
mod csv_text;
mod idx;
mod npy;
