//! The requests below the paths of the live table: per service their kinds, rates and outcome.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use host_api::Request;

use super::canvas::Canvas;
use crate::output::{nanos, short};
use crate::printable::clipped;
use crate::requests::{line, services, told};
use crate::style::{Tone, paint};

/// Number of samples that a rate spans, the same as for paths.
const WINDOW: usize = 3;

/// The last few samples of the requests.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    looks: VecDeque<(Instant, Vec<Request>)>,
}

// === impl Traffic ===

impl Traffic {
    /// Adds a sample.
    pub(super) fn push(&mut self, at: Instant, requests: Vec<Request>) {
        self.looks.push_back((at, requests));
        if self.looks.len() > WINDOW {
            self.looks.pop_front();
        }
    }

    /// Returns at most `room` lines: a heading, and the busiest services with their requests. None before the first request.
    pub(super) fn lines(&self, canvas: Canvas, room: usize) -> Vec<String> {
        let Some((_, now)) = self.looks.back().filter(|(_, now)| !now.is_empty()) else { return Vec::new() };
        let heading = ["METHOD", "ROUTE", "STATUS", "PER S", "ERRORS", "P50", "P99"].map(str::to_owned);
        let mut lines = vec![styled(&line(&heading, canvas.width), Tone::Strong, canvas)];
        let mut left_out = 0;
        // The last line is for the number of services left out.
        let most = room.saturating_sub(1);
        let mut services = services(now);
        services.sort_by(|one, other| {
            let rate = |of: &[&Request]| of.iter().map(|request| self.per_second(request)).sum::<f64>();
            rate(&other.requests).total_cmp(&rate(&one.requests))
        });
        for service in services {
            if lines.len() + 1 >= most {
                left_out += service.requests.len();
                continue;
            }
            lines.push(clipped(&service.name, canvas.width));
            for request in service.requests {
                if lines.len() >= most {
                    left_out += 1;
                    continue;
                }
                let numbers = [
                    short(self.per_second(request)),
                    short(request.errors as f64),
                    nanos(request.p50_ns),
                    nanos(request.p99_ns),
                ];
                let text = line(&told(request, numbers), canvas.width);
                lines.push(match request.errors {
                    0 => clipped(text.trim_end(), canvas.width),
                    _ => styled(&text, Tone::Attention, canvas),
                });
            }
        }
        if left_out > 0 {
            lines.push(styled(&format!("  and {left_out} more: `host requests`"), Tone::Faint, canvas));
        }
        lines.truncate(room);
        lines
    }

    /// Returns the rate of a kind of request, over the stored samples.
    fn per_second(&self, request: &Request) -> f64 {
        let (Some((from, before)), Some((to, _))) = (self.looks.front(), self.looks.back()) else { return 0.0 };
        let elapsed = to.duration_since(*from);
        if elapsed == Duration::ZERO {
            return 0.0;
        }
        let before = before.iter().find(|old| same(old, request)).map_or(0, |old| old.count);
        request.count.saturating_sub(before) as f64 / elapsed.as_secs_f64()
    }
}

/// Whether two entries are of the same kind of request.
fn same(one: &Request, other: &Request) -> bool {
    one.server_port == other.server_port
        && one.comm == other.comm
        && one.role == other.role
        && one.protocol == other.protocol
        && one.method == other.method
        && one.route == other.route
        && one.status == other.status
}

fn styled(text: &str, tone: Tone, canvas: Canvas) -> String {
    paint(canvas.coloured, tone, &clipped(text.trim_end(), canvas.width))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::tests::request;

    const CANVAS: Canvas = Canvas { width: 80, height: 24, coloured: false };

    fn traffic() -> Traffic {
        let (mut traffic, start) = (Traffic::default(), Instant::now());
        let look = |count: u64| {
            vec![
                request("nginx", "server", "GET", "/users/{id}", "200", 1000 + count),
                request("redis-server", "server", "GET", "", "OK", 5000),
                request("nginx", "server", "GET", "/users/{id}", "500", count / 100),
            ]
        };
        traffic.push(start, look(0));
        traffic.push(start + Duration::from_secs(2), look(2_400));
        traffic
    }

    #[test]
    fn requests_stand_below_the_busiest_service_with_their_rate_and_their_errors() {
        let expected = [
            "  METHOD    ROUTE                 STATUS         PER S  ERRORS      P50      P99",
            "nginx:80  http server",
            "  GET       /users/{id}           200            1.20k       0 412.3 us   9.0 ms",
            "  GET       /users/{id}           500               12      24 412.3 us   9.0 ms",
            "redis-server:80  http server",
            "  GET       -                     OK                 0       0 412.3 us   9.0 ms",
        ];
        assert_eq!(traffic().lines(CANVAS, 20), expected);
    }

    #[test]
    fn what_has_no_room_is_said_to_be_left_out() {
        let lines = traffic().lines(CANVAS, 4);
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert_eq!(lines[3], "  and 2 more: `host requests`");
        let narrow = traffic().lines(Canvas { width: 30, ..CANVAS }, 20);
        assert!(narrow.iter().all(|line| line.chars().count() <= 30), "{narrow:?}");
        assert!(Traffic::default().lines(CANVAS, 20).is_empty());
    }
}
