//! What is said on a socket. Pure: texts in, texts out.
//!
//! [`request`] reads a client's frame, [`reply`] answers it, [`event`] hands out an event; [`sse`] is how these go over a
//! stream of Server-Sent Events. Every frame that leaves has an object `data`, since clients read it without looking at
//! `action` first; gap frames go only to those who asked for positions.

pub mod event;
pub mod reply;
pub mod request;
pub mod sse;
