//! What single values of clusters and pools have to look like.

use std::net::Ipv4Addr;

use azure_core::time::parse_rfc3339;

use super::arm::ResourceId;

type Rule = Result<(), String>;

fn holds(good: bool, must: &str, text: &str) -> Rule {
    if good {
        Ok(())
    } else {
        Err(format!("must be {must}, got {text:?}"))
    }
}

/// A Go duration, such as `2m` or `1h30m`.
pub(super) fn duration(text: &str) -> Rule {
    let mut rest = text;
    let mut parts = 0;
    while !rest.is_empty() {
        let after = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let number = &rest[..rest.len() - after.len()];
        let unit = ["ns", "us", "ms", "s", "m", "h"].into_iter().find(|unit| {
            after
                .strip_prefix(unit)
                .is_some_and(|next| next.chars().next().is_none_or(|c| c.is_ascii_digit()))
        });
        let (Ok(_), Some(unit)) = (number.parse::<f64>(), unit) else {
            return holds(false, "a duration such as 2m or 1h30m", text);
        };
        rest = &after[unit.len()..];
        parts += 1;
    }
    holds(parts > 0, "a duration such as 2m or 1h30m", text)
}

fn network(text: &str) -> Option<(u32, u32)> {
    let (address, bits) = text.split_once('/')?;
    let bits: u32 = bits.parse().ok().filter(|bits| (1..=30).contains(bits))?;
    let address = u32::from(address.parse::<Ipv4Addr>().ok()?);
    let mask = u32::MAX << (32 - bits);
    (address & !mask == 0).then_some((address, mask))
}

/// An address range.
pub(super) fn cidr(text: &str) -> Rule {
    holds(
        network(text).is_some(),
        "an IPv4 range such as 10.0.0.0/16, without bits beyond its length",
        text,
    )
}

/// An address in a range, where both can be read.
pub(super) fn address_in(text: &str, range: &str) -> Rule {
    let Ok(address) = text.parse::<Ipv4Addr>() else {
        return holds(false, "an IPv4 address such as 10.0.0.10", text);
    };
    match network(range) {
        Some((base, mask)) => holds(
            u32::from(address) & mask == base && u32::from(address) > base + 1,
            &format!("within {range} (serviceCidr), after its first address"),
            text,
        ),
        None => Ok(()),
    }
}

/// A moment.
pub(super) fn moment(text: &str) -> Rule {
    holds(
        parse_rfc3339(text).is_ok(),
        "a moment such as 2035-01-01T00:00:00Z",
        text,
    )
}

/// A private DNS zone.
pub(super) fn private_zone(text: &str) -> Rule {
    let named = ["system", "none"]
        .iter()
        .any(|name| text.eq_ignore_ascii_case(name));
    holds(
        named || is_id(text, "Microsoft.Network/privateDnsZones"),
        "system, none, or the ARM id of a private DNS zone",
        text,
    )
}

/// A subnet's id.
pub(super) fn subnet(text: &str) -> Rule {
    holds(
        is_id(text, "Microsoft.Network/virtualNetworks/subnets"),
        "a subnet's ARM id (/subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.Network/virtualNetworks/<net>/subnets/<name>)",
        text,
    )
}

fn is_id(text: &str, kind: &str) -> bool {
    text.parse::<ResourceId>().is_ok_and(|id| id.is(kind))
}

/// An availability zone.
pub(super) fn zone(text: &str) -> Rule {
    holds(["1", "2", "3"].contains(&text), "1, 2 or 3", text)
}

/// A label's key: a name, perhaps behind a domain and a slash.
pub(super) fn label_key(key: &str) -> Rule {
    let name = key.rsplit_once('/').map_or(key, |(_, name)| name);
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    holds(
        (1..=63).contains(&name.len())
            && key.chars().all(fits)
            && ends(name.chars().next())
            && ends(name.chars().last()),
        "a label's key such as team or example.com/team",
        key,
    )
}

/// The value of a label.
pub(super) fn label_value(key: &str, value: &str) -> Rule {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let ends = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    let good = value.len() <= 63
        && value.chars().all(fits)
        && ends(value.chars().next())
        && ends(value.chars().last());
    if good {
        return Ok(());
    }
    Err(format!(
        "the label {key:?} must have at most 63 letters, digits, -, _ and . as its value, the first and last a letter or digit, \
         got {value:?}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_networks_and_times() {
        for good in ["2m", "1h30m", "90s", "1.5h", "100ms"] {
            assert_eq!(duration(good), Ok(()), "{good}");
        }
        for bad in ["", "soon", "2", "m", "2 m", "2mm"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert_eq!(cidr("10.244.0.0/16"), Ok(()));
        for bad in ["10.0", "10.0.0.0/33", "10.0.0.1/16", "::/8"] {
            assert!(cidr(bad).is_err(), "{bad}");
        }
        assert_eq!(address_in("10.0.0.10", "10.0.0.0/16"), Ok(()));
        assert!(address_in("10.1.0.10", "10.0.0.0/16").is_err());
        assert!(address_in("10.0.0.1", "10.0.0.0/16").is_err());
        assert_eq!(moment("2035-01-01T00:00:00+00:00"), Ok(()));
        assert!(moment("tomorrow").is_err());
    }

    #[test]
    fn keys_of_labels() {
        for good in ["gpu", "a.b/c-d", "example.com/team"] {
            assert_eq!(label_key(good), Ok(()), "{good}");
        }
        for bad in ["", "a b", "-a", "a/"] {
            assert!(label_key(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn values_of_labels() {
        for good in ["", "a", "2", "blue-green_1.0", "True"] {
            assert_eq!(label_value("team", good), Ok(()), "{good}");
        }
        for bad in ["a b", "-a", "a.", "a/b", "ü", &"x".repeat(64)] {
            assert!(label_value("team", bad).is_err(), "{bad}");
        }
    }
}
