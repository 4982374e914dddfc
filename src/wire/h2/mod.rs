//! Between the messages of HTTP/2 and the text of HTTP/1.1, in which every exchange is spoken.
//!
//! Of clients: [`request`] writes the text of a request, or refuses it before there is any;
//! [`answer`] reads the head of its answer. Of dynos: [`to_dyno`] reads the text of a request,
//! [`from_dyno`] writes that of its answer, or refuses it. [`chunks`] takes the data and the
//! trailers out of a chunked text, [`trailers`] writes and reads those; [`flood`] watches
//! frames, [`grpc`] says faults as gRPC does.
//!
//! Invariant: what RFC 9113, section 8, forbids never becomes text; what does become text is one
//! message, which the rules of this folder's parent then judge as they judge any other.

pub mod accept_key;
pub mod answer;
pub mod chunks;
pub mod flood;
pub mod from_dyno;
pub mod grpc;
pub mod request;
pub mod to_dyno;
pub mod trailers;
