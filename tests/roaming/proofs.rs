//! Through every fault a wrong password is one failed attempt, and a password change leaves one password that works, of
//! which the user is told as much as can be known.
//!
//! Two KDCs on one database stand behind two proxies: one KDC's memory of what it has answered would hide a copy.

mod changer;

use self::changer::Changer;
use crate::bounds::{DEADLINE, SLACK};
use crate::busy::Waits;
use crate::cost;
use crate::portal::{PAGE, Voucher};
use crate::scene::{Plan, Scene};
use crate::support::client::{Outcome, Running};
use crate::support::netns::isolated;
use crate::support::proxy::Maker;
use crate::support::realm::PASSWORD;
use crate::topology::Site;
use crate::vpn;

const WRONG: &str = "battery staple";
/// Who tries a wrong password, and who changes his: when the fault strikes, while it lasts, and after it.
const GUESSERS: [&str; 3] = ["guesser1", "guesser2", "guesser3"];
const CHANGERS: [&str; 3] = ["changer1", "changer2", "changer3"];
const UNREACHABLE: &str = "Cannot contact any KDC";
const INCORRECT: &str = "Password incorrect";

/// A fault, as it comes and goes.
struct Fault {
    maker: Maker,
    /// Lines of the realm's table in the laptop's configuration.
    lines: &'static str,
    before: fn(&mut Scene),
    strikes: fn(&mut Scene),
    ends: fn(&mut Scene),
    /// Whether nothing gets through while it lasts.
    is_total: bool,
    /// What he may be told who changes his password meanwhile.
    tells: &'static [Option<bool>],
}

impl Fault {
    /// One that lets nothing through.
    fn total(strikes: fn(&mut Scene), ends: fn(&mut Scene)) -> Fault {
        Fault {
            is_total: true,
            // That it was not changed can be known.
            tells: &[Some(false)],
            ..Fault::partial(strikes, ends)
        }
    }

    /// One that can be got around.
    fn partial(strikes: fn(&mut Scene), ends: fn(&mut Scene)) -> Fault {
        Fault {
            maker: Maker::Ours,
            lines: "",
            before: |_| {},
            strikes,
            ends,
            is_total: false,
            tells: &[Some(true), Some(false), None],
        }
    }

    /// Opens the scene, with passwords to guess and to change.
    fn scene(&self) -> Scene {
        let guesser = |name| format!("addprinc -pw \"{PASSWORD}\" -policy locks {name}\n");
        let changer = |name| format!("addprinc -pw \"{PASSWORD}\" {name}\n");
        let (guessers, changers) = (GUESSERS.map(guesser), CHANGERS.map(changer));
        let (guessers, changers) = (guessers.concat(), changers.concat());
        let plan = Plan {
            maker: self.maker,
            lines: self.lines,
            admin: &format!("addpol -maxfailure 3 locks\n{guessers}{changers}"),
            ..Plan::with_a_branch()
        };
        plan.open()
    }
}

fn proof(fault: Fault) {
    let mut scene = fault.scene();
    (fault.before)(&mut scene);
    // What the servers have done and the laptop has not heard of when the fault strikes.
    let [mut changer, mut later] = [0, 1].map(|which| Changer::begins(&scene, CHANGERS[which]));
    scene.recorder.hold_answers(cost::must_go_once);
    let waits = Waits::now();
    let guess = guesses(&scene, GUESSERS[0]);
    changer.chooses();
    scene.recorder.holds(2);
    (fault.strikes)(&mut scene);
    scene.recorder.release();

    let meanwhile = guesses(&scene, GUESSERS[1]);
    let (guess, changed) = (guess.ends(), changer.ends());
    // Until now the connections were new enough to be taken for living ones.
    later.chooses();
    let (meanwhile, later) = (meanwhile.ends(), later.ends());

    (fault.ends)(&mut scene);
    let after = guesses(&scene, GUESSERS[2]).ends();
    let mut changer = Changer::begins(&scene, CHANGERS[2]);
    changer.chooses();
    let changed_after = changer.ends();

    let guesses = [guess, meanwhile, after];
    for guess in &guesses {
        // A login is two exchanges.
        let took = guess.took.saturating_sub(waits.since());
        assert!(took < 2 * DEADLINE + SLACK, "{took:?}");
    }
    nobody_is_locked_out(&scene, &fault, guesses);
    changed.knows(&scene, &[Some(true), None]);
    assert_eq!(
        scene.realm.key_version(CHANGERS[0]),
        2,
        "it was carried out"
    );
    later.knows(&scene, fault.tells);
    changed_after.knows(&scene, &[Some(true)]);
    scene.sent_nothing_twice();
}

fn guesses(scene: &Scene, name: &str) -> Running {
    let client = scene.somebody();
    let line = format!("kinit {name}@EXAMPLE.COM");
    let mut kinit = scene.hosts.laptop.at(|| client.begin(&line));
    kinit.is_told(&[WRONG]);
    kinit
}

fn nobody_is_locked_out(scene: &Scene, fault: &Fault, guesses: [Outcome; 3]) {
    let [_, meanwhile, after] = guesses;
    let failed = GUESSERS.map(|name| scene.realm.failed_attempts(name));
    assert_eq!((failed[0], failed[2]), (1, 1));
    after.fails_with(INCORRECT);
    if fault.is_total {
        meanwhile.fails_with(UNREACHABLE);
        assert_eq!(failed[1], 0, "nothing can have been sent");
    } else if meanwhile.text.contains(INCORRECT) {
        assert_eq!(failed[1], 1);
    } else {
        meanwhile.fails_with(UNREACHABLE);
        assert!(failed[1] <= 1, "{} failed attempts", failed[1]);
    }
}

#[test]
fn a_pulled_cable() {
    isolated(|| {
        proof(Fault::total(
            |at| at.pulls_cable(),
            |at| at.puts_cable_back(),
        ))
    });
}

#[test]
fn a_cable_that_is_put_back_at_once() {
    let strikes = |at: &mut Scene| {
        at.pulls_cable();
        at.puts_cable_back();
    };
    isolated(|| proof(Fault::partial(strikes, |_| {})));
}

#[test]
fn another_address() {
    isolated(|| proof(Fault::partial(|at| at.changes_address(), |_| {})));
}

#[test]
fn a_route_that_is_gone() {
    isolated(|| {
        proof(Fault::total(
            |at| at.loses_route(),
            |at| at.gets_route_back(),
        ))
    });
}

#[test]
fn a_route_that_is_back_at_once() {
    let strikes = |at: &mut Scene| {
        at.loses_route();
        at.gets_route_back();
    };
    isolated(|| proof(Fault::partial(strikes, |_| {})));
}

#[test]
fn a_black_hole() {
    isolated(|| {
        proof(Fault::total(
            |at| at.drops_everything(),
            |at| at.drops_nothing(),
        ))
    });
}

#[test]
fn a_black_hole_for_kept_connections() {
    isolated(|| proof(Fault::partial(|at| at.drops_connections(), |_| {})));
}

#[test]
fn a_black_hole_for_kept_connections_of_http1() {
    isolated(|| {
        proof(Fault {
            maker: Maker::Kdcproxy,
            ..Fault::partial(|at| at.drops_connections(), |_| {})
        });
    });
}

/// Names are remembered.
#[test]
fn no_name_server() {
    let strikes = |at: &mut Scene| {
        at.drops_connections();
        at.drops_dns();
    };
    isolated(|| proof(Fault::partial(strikes, |at| at.drops_nothing())));
}

#[test]
fn no_ipv6() {
    let strikes = |at: &mut Scene| {
        at.drops_nothing();
        at.drops_ipv6();
    };
    isolated(|| {
        proof(Fault {
            before: |at| {
                at.says_addresses(Site::both_families);
                at.drops_ipv4();
            },
            ..Fault::partial(strikes, |at| at.drops_nothing())
        });
    });
}

#[test]
fn a_vpn_that_is_half_up() {
    let strikes = |at: &mut Scene| at.raises_vpn(vpn::TO_THE_PROXY);
    isolated(|| proof(Fault::partial(strikes, |at| at.lowers_vpn())));
}

#[test]
fn a_path_for_small_packets() {
    let strikes = |at: &mut Scene| {
        at.drops_connections();
        at.shrinks_mtu();
    };
    isolated(|| proof(Fault::partial(strikes, |at| at.restores_mtu())));
}

#[test]
fn a_suspend() {
    let strikes = |at: &mut Scene| {
        at.closes_lid();
        at.opens_lid();
    };
    isolated(|| proof(Fault::partial(strikes, |_| {})));
}

#[test]
fn a_proxy_that_is_down() {
    isolated(|| {
        proof(Fault::partial(
            |at| at.kills_proxy(0),
            |at| at.starts_proxy(0),
        ))
    });
}

#[test]
fn a_proxy_whose_host_is_gone() {
    isolated(|| {
        proof(Fault::partial(
            |at| at.drops_office(),
            |at| at.drops_nothing(),
        ))
    });
}

#[test]
fn two_proxies_that_are_down() {
    let strikes = |at: &mut Scene| [0, 1].into_iter().for_each(|which| at.kills_proxy(which));
    let ends = |at: &mut Scene| [0, 1].into_iter().for_each(|which| at.starts_proxy(which));
    isolated(|| proof(Fault::total(strikes, ends)));
}

#[test]
fn a_portal_that_shows_its_page() {
    let strikes = |at: &mut Scene| at.meets_portal(Voucher::Trusted, PAGE);
    isolated(|| {
        proof(Fault {
            // It speaks for the proxy, and it is not known what it did.
            tells: &[Some(false), None],
            ..Fault::total(strikes, |at| at.passes_portal())
        });
    });
}

#[test]
fn a_portal_with_its_own_certificate() {
    let strikes = |at: &mut Scene| at.meets_portal(Voucher::Nobody, PAGE);
    isolated(|| proof(Fault::total(strikes, |at| at.passes_portal())));
}

/// The primary KDC is behind the second proxy, and somebody has changed his password before all others come.
fn proof_after_a_change(fault: Fault) {
    proof(Fault {
        lines: "primary-proxies = [\"https://kdcproxy2.example.com/KdcProxy\"]\n",
        before: |at| {
            let mut changer = Changer::begins(at, "user");
            changer.chooses();
            changer.ends().knows(at, &[Some(true)]);
            assert!(at.loopkdc.status()["realms"][0]["primary_until"].is_u64());
        },
        ..fault
    });
}

#[test]
fn a_primary_that_is_down_after_a_change() {
    isolated(|| {
        proof_after_a_change(Fault::partial(
            |at| at.kills_proxy(1),
            |at| at.starts_proxy(1),
        ))
    });
}

#[test]
fn a_black_hole_for_kept_connections_after_a_change() {
    isolated(|| proof_after_a_change(Fault::partial(|at| at.drops_connections(), |_| {})));
}

#[test]
fn another_address_after_a_change() {
    isolated(|| proof_after_a_change(Fault::partial(|at| at.changes_address(), |_| {})));
}
