//! Follows the hub's table and publishes it, with the cells of its dynos, to the data plane.
//!
//! In one process the hub hands its tables over; a router that follows a hub elsewhere hears them
//! on its feed.

pub mod follower;

pub use follower::Follower;
