//! Actors panic, again and again, at the places where the code has fault points: nothing that was accepted is lost, and
//! nobody else notices. The plan of the faults goes to the server's process; see `src/faults.rs`.

mod kept;
mod load;
mod poison;
mod process;
mod scene;
mod sockets;
