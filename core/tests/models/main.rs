//! Each policy against a model of it: plain, slow, and written from the reference rather than from the code. Random settings
//! and random events, and the same answer always. What was found this way stands as a case of its own beside its model. Models that
//! fuzz targets play against stand with them; what bytes those have found is replayed here.

mod api_routes;
mod authorization;
mod chains;
mod descriptors;
mod ejection;
mod istio_facts;
mod limits;
mod replayed;
mod request;
mod retries;

#[path = "../../../fuzz/src/corpus.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod corpus;
#[path = "../../../fuzz/src/draws.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod draws;
#[path = "../../../fuzz/src/ejection.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod ejection_model;
#[path = "../../../fuzz/src/house.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod house;
#[path = "../../../fuzz/src/limits.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod limits_model;
#[path = "../../../fuzz/src/reload.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod reload;
#[path = "../../../fuzz/src/resources.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod resources;
#[path = "../../../fuzz/src/routing.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod routing;
