//! The wounds of those who came before, each with the test that shows that it is none here.
//!
//! The gateway runs as a process of its own, since what it holds of memory and descriptors is what is asked. Where another
//! test shows a wound already it is named in [`TABLE`] and not written twice.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy allows them in tests but not in what they call"
)]
#![allow(
    unreachable_pub,
    dead_code,
    reason = "nothing is exported from here, and what is shared with others is made for them too"
)]

#[path = "../walk/certificates.rs"]
mod certificates;
#[path = "../https/clients.rs"]
mod clients;
#[path = "../walk/der.rs"]
mod der;
#[path = "../walk/messages.rs"]
mod messages;
#[path = "../gateway/scripted.rs"]
mod scripted;
#[path = "../support/mod.rs"]
mod support;

mod gateway;

mod bodies;
mod changes;
mod descriptors;
mod envelopes;
mod kdcs;
mod names;
mod replies;
mod slow;
mod smuggling;
mod streams;

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;

use messages::{Kind, REALM, as_rep, changed, envelope, framed, tgs_rep};
use scripted::{Act, Script};

/// Long enough for a loaded machine: only a broken test waits as long.
const PATIENCE: Duration = Duration::from_secs(30);

/// What `future` brings; that it brings something is part of the test.
async fn within<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("something happens")
}

/// A KDC that is content with every request.
fn granting() -> Script {
    Script::default().tcp(|asked| {
        Act::Reply(match asked.request[0] {
            0x6a => as_rep(),
            0x6c => tgs_rep(),
            _ => changed(),
        })
    })
}

/// A new request of this kind as it is posted.
fn posted(kind: Kind) -> Vec<u8> {
    envelope(&framed(&kind.request(REALM).bytes), Some(REALM))
}

/// Each wound and the tests that show it, by folder of `tests`, file and name.
const TABLE: &[(&str, &[&str])] = &[
    (
        "CVE-2015-5159, kdcproxy: a POST's body is kept however long it is",
        &[
            "scars/bodies a_body_without_end_is_not_kept",
            "https/lengths a_declared_oversize_is_refused_before_a_single_octet",
            "https/lengths the_longest_body_is_read_and_one_octet_more_is_not",
            "https/endings one_client_cannot_begin_long_bodies_without_end",
            "walk/ways_in a_length_beyond_the_limit_is_told_and_ends_the_stream",
        ],
    ),
    (
        "CVE-2025-59088, kdcproxy: a realm that a client chooses is looked up and connected to",
        &[
            "scars/names a_realm_of_an_attacker_leads_nowhere",
            "interop/discovery a_zone_leads_to_this_machine_only_if_that_is_allowed",
            "interop/discovery a_zone_leads_to_no_other_service",
            "gateway/names a_name_that_leads_elsewhere_later_leads_nowhere",
            "https/verdicts an_unknown_realm_is_not_found_and_no_other_is_named",
            "interop/realms unknown_realm",
            "interop/off_network nothing_waits_for_dns",
        ],
    ),
    (
        "CVE-2025-59089, kdcproxy: a KDC's reply is kept however long it is",
        &[
            "scars/replies a_reply_without_end_is_not_kept",
            "gateway/kdc each_fault_is_told_for_what_it_is_and_costs_one_copy_and_the_connection",
            "walk/faults a_body_that_stops_halfway",
        ],
    ),
    (
        "CVE-2026-49232, routinator: an accept that fails ends the process",
        &[
            "scars/descriptors a_lack_of_descriptors_ends_nothing",
            "scars/descriptors a_crowd_that_would_take_all_descriptors_leaves_some_for_others",
            "walk/crowds more_silent_clients_than_descriptors_keep_nobody_out",
        ],
    ),
    (
        "CVE-2023-44487, HTTP/2 servers: streams that are reset cost the client nothing",
        &[
            "scars/streams whole_requests_that_are_reset_keep_nobody_else_waiting",
            "https/crowds streams_reset_in_numbers_end_their_connection_and_no_other",
            "https/crowds what_waits_for_its_answer_is_bounded_even_if_nobody_waits_for_it",
        ],
    ),
    (
        "CVE-2025-8671, HTTP/2 servers: streams that the server is made to reset cost the client nothing",
        &[
            "scars/streams streams_that_provoke_resets_end_their_connection_and_no_other",
            "scars/streams streams_that_provoke_nothing_are_served",
        ],
    ),
    (
        "krb5 PR 856: a change of a password is told as failed, though it was done",
        &[
            "scars/changes a_change_that_may_be_done_is_sent_to_nobody_else_and_not_again",
            "scars/changes a_change_that_reached_nobody_goes_to_the_next_server",
            "walk/retransmits a_verdict_on_a_change_that_may_be_done_is_kept_two_seconds_under_its_ticket",
            "walk/retransmits a_rebuilt_change_from_the_same_peer_with_the_same_ticket_joins",
            "walk/faults a_success_that_nothing_authenticates_is_refused",
            "walk/silence what_was_told_not_to_be_sent_is_never_sent",
        ],
    ),
    (
        "kdcproxy 3 and 37: a KDC that is a black hole holds clients up, and errors say nothing",
        &[
            "scars/kdcs a_black_hole_is_passed_by_and_told",
            "scars/kdcs a_kdc_that_is_gone_is_told_at_once_and_its_return_is_seen",
            "https/verdicts a_silent_kdc_is_a_gateway_timeout",
            "https/verdicts a_kdc_that_talks_nonsense_or_does_not_serve_is_a_bad_gateway",
            "walk/real_clients kinit_says_at_once_that_no_kdc_can_be_reached",
            "walk/real_clients kpasswd_prints_why_only_the_change_fails",
        ],
    ),
    (
        "cloudflared 458, sspi-rs PR 647: kept connections that died in a pause fail requests",
        &[
            "scars/kdcs connections_that_died_in_a_pause_cost_nothing",
            "gateway/kept a_connection_that_was_closed_after_the_reply_costs_nothing",
            "gateway/kept a_close_that_crosses_a_request_is_told",
            "walk/connections a_kept_connection_that_was_closed_costs_nothing",
            "walk/connections a_password_typed_slowly_goes_over_a_fresh_connection",
            "roaming/suspend between_logins",
            "roaming/suspend during_an_exchange",
            "roaming/black_hole of_a_kept_connection_of_http2",
            "roaming/black_hole of_a_kept_connection_of_http1",
        ],
    ),
    (
        "request smuggling: two servers see two requests where one was sent",
        &[
            "scars/smuggling nobody_sees_a_second_request_behind_an_ambiguous_one",
            "scars/smuggling nobody_sees_a_second_request_behind_a_bare_line_feed",
            "https/lengths no_request_says_two_lengths",
            "https/lengths two_lengths_are_seen_behind_another_request_too",
        ],
    ),
    (
        "slow clients: an octet a second holds a place for ever",
        &[
            "scars/slow clients_that_trickle_hold_up_nobody_and_end",
            "https/deadlines headers_that_trickle_end_in_time",
            "https/deadlines a_body_that_trickles_is_given_up",
            "https/crowds two_thousand_connections_are_open_at_once_and_each_is_served",
            "walk/crowds silence_and_trickling_end_with_the_idle_timeout_and_waiting_does_not",
        ],
    ),
    (
        "envelopes that are read in two ways, or written into a log",
        &[
            "scars/envelopes a_body_that_can_be_read_in_two_ways_is_not_read",
            "https/access_log what_clients_choose_forges_nothing",
        ],
    ),
    (
        "dnscrypt-proxy 913: inherited sockets and those of the configuration clash",
        &[
            "walk/manager inherited_sockets_serve_instead_of_those_in_the_file",
            "walk/manager an_inherited_socket_without_a_service_ends_it_with_78",
        ],
    ),
];

/// A name in the table that no test has would show nothing.
#[test]
fn the_table_names_tests_that_there_are() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut here = 0;
    for name in TABLE.iter().flat_map(|(_, names)| *names) {
        let (file, test) = name.split_once(' ').unwrap();
        let text = fs::read_to_string(tests.join(file).with_extension("rs")).expect(name);
        assert!(text.contains(&format!("fn {test}()")), "{name}");
        here += usize::from(file.starts_with("scars/"));
    }
    let tests = fs::read_dir(tests.join("scars")).unwrap();
    let text = |path| fs::read_to_string(path).unwrap();
    let tests = tests.map(|file| text(file.unwrap().path()));
    let tests: usize = tests
        .map(|text| text.matches("\n#[test]\n").count() + text.matches("\n#[tokio::test").count())
        .sum();
    assert_eq!(here + 1, tests, "all of these are in the table");
}
