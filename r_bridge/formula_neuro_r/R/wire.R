# Values as bytes on a binary connection, and back; the other end is wire.py, which says how they lie.

wire_kinds <- c(null = 0L, double = 1L, integer = 2L, logical = 3L, text = 4L, list = 5L, named = 6L, strange = 7L)

read_value <- function(from) {
  header <- readBin(from, "integer", 2)
  shape <- readBin(from, "integer", header[2])
  kind <- names(wire_kinds)[header[1] + 1L]
  switch(kind,
    null = NULL,
    double = shaped(readBin(from, "double", prod(shape)), shape),
    integer = shaped(readBin(from, "integer", prod(shape)), shape),
    logical = as.logical(readBin(from, "integer", shape)),
    text = read_texts(from, shape),
    named = {
      names <- read_value(from)
      structure(lapply(seq_len(shape), function(i) read_value(from)), names = names)
    }
  )
}

shaped <- function(values, shape) if (length(shape) > 1) structure(values, dim = shape) else values

read_texts <- function(from, n) {
  lengths <- readBin(from, "integer", n)
  texts <- if (n) readChar(from, lengths, useBytes = TRUE) else character()
  Encoding(texts) <- "UTF-8"
  texts
}

write_value <- function(value, to) {
  shape <- if (is.null(dim(value))) length(value) else dim(value)
  header <- function(kind) writeBin(c(wire_kinds[[kind]], length(shape), shape), to)
  switch(typeof(value),
    NULL = writeBin(c(wire_kinds[["null"]], 0L), to),
    double = { header("double"); writeBin(as.vector(value), to) },
    integer = { header("integer"); writeBin(as.vector(value), to) },
    logical = { header("logical"); writeBin(as.integer(value), to) },
    character = write_texts(value, to),
    list = write_list(value, to),
    { header("strange"); write_bytes(typeof(value), to) }
  )
  invisible()
}

write_list <- function(value, to) {
  named <- !is.null(names(value))
  writeBin(c(wire_kinds[[if (named) "named" else "list"]], 1L, length(value)), to)
  if (named) write_texts(names(value), to)
  for (item in value) write_value(item, to)
}

write_texts <- function(texts, to) {
  writeBin(c(wire_kinds[["text"]], 1L, length(texts)), to)
  write_bytes(texts, to)
}

write_bytes <- function(texts, to) {
  gone <- is.na(texts)
  bytes <- enc2utf8(as.vector(texts))
  bytes[gone] <- ""
  writeBin(replace(nchar(bytes, "bytes"), gone, -1L), to)
  writeBin(charToRaw(paste(bytes, collapse = "")), to)
}
