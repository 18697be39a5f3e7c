//! Heimdal's clients, which rebuild and repeat where MIT's repeat the same bytes.
