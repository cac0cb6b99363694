# Columns as they cross (numbers, codes, levels) and R's data frames, both ways.

as_column <- function(column) {
  switch(column$kind,
    number = , integer = column$values,
    logical = as.logical(replace(column$values, column$values < 0, NA)),
    matrix = structure(column$values, dimnames = list(NULL, column$names)),
    factor = structure(replace(column$values, column$values == 0, NA), levels = column$levels,
                       class = if (column$ordered) c("ordered", "factor") else "factor")
  )
}

as_frame <- function(columns, rows) {
  values <- lapply(columns, as_column)
  structure(values, names = names(columns), row.names = .set_row_names(rows), class = "data.frame")
}

from_column <- function(x) {
  if (is.factor(x)) {
    codes <- as.integer(x)
    codes[is.na(codes)] <- 0L
    return(list(kind = "factor", values = codes, levels = levels(x), ordered = is.ordered(x)))
  }
  if (inherits(x, "Date")) return(list(kind = "date", values = as.double(unclass(x))))
  if (is.character(x)) {
    return(list(kind = "text", values = ifelse(is.na(x), "", enc2utf8(x)), missing = as.integer(is.na(x))))
  }
  if (is.logical(x)) return(list(kind = "logical", values = as.double(x)))
  if (is.integer(x) && !anyNA(x) && !is.object(x)) return(list(kind = "integer", values = as.integer(x)))
  if (is.numeric(x) && is.null(dim(x))) return(list(kind = "number", values = as.double(x)))
  stop(sprintf("a column of class %s cannot cross", paste(class(x), collapse = "/")))
}

dataset <- function(arguments) {
  need(arguments$package)
  holder <- new.env()
  found <- suppressWarnings(utils::data(list = arguments$name, package = arguments$package, envir = holder))
  if (!exists(arguments$name, envir = holder, inherits = FALSE)) {
    known <- utils::data(package = arguments$package)$results[, "Item"]
    stop(sprintf("package %s has no data set %s; it has %s", arguments$package, arguments$name,
                 paste(known, collapse = ", ")))
  }
  frame <- as.data.frame(get(arguments$name, envir = holder))
  named <- .row_names_info(frame) > 0
  list(columns = lapply(as.list(frame), from_column), rows = nrow(frame),
       labels = if (named) row.names(frame) else character())
}
