//! stub
/// q
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// a
    pub requests_per_second: u32,
    /// a
    pub burst: u32,
    /// a
    pub failures_per_minute: u32,
    /// a
    pub failure_burst: u32,
}
