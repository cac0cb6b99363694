# From the arguments of a request to the call of a modelling function.

# Functions that our formulas know and that R keeps elsewhere or has not.
formula_words <- new.env(parent = as.environment("package:stats"))

# Calls that learn from the table take the values that were sent for them, if any: those of all rows.
learning <- function(own) {
  force(own)
  function(...) {
    sent <- get0(".fn_learnt", envir = parent.frame())[[deparse1(sys.call(), control = NULL)]]
    if (is.null(sent)) own(...) else sent
  }
}
formula_words$center <- learning(function(x) x - mean(x, na.rm = TRUE))
formula_words$ns <- learning(splines::ns)
formula_words$bs <- learning(splines::bs)
for (name in c("scale", "cut", "factor", "ordered", "mean", "median", "min", "max", "sum", "sd", "var", "quantile",
               "poly", "relevel")) {
  formula_words[[name]] <- learning(get(name, envir = as.environment("package:stats"), mode = "function"))
}

# Texts cross as factors, whose names, not codes, are meant.
texts <- function(x) if (is.factor(x)) as.character(x) else x
formula_words$ifelse <- function(test, yes, no) {
  made <- base::ifelse(test, texts(yes), texts(no))
  if (is.character(made)) factor(made) else made
}
formula_words$`==` <- function(e1, e2) texts(e1) == texts(e2)
formula_words$`!=` <- function(e1, e2) texts(e1) != texts(e2)
formula_words$as.logical <- function(x) base::as.logical(texts(x))

# R sorts new texts, such as those of ifelse(), by locale; we by code point.
suppressWarnings(Sys.setlocale("LC_COLLATE", "C"))

# The modelling functions look weights and offset up beside the formula, never in the user's workspace,
# and not in the data, where `y ~ .` would find them.
surroundings <- function(arguments) {
  place <- new.env(parent = formula_words)
  place$.fn_data <- as_frame(arguments$columns, arguments$rows)
  place$.fn_weights <- arguments$weights
  place$.fn_offset <- arguments$offset
  place$.fn_response <- arguments$response
  place$.fn_clusters <- arguments$clusters
  place$.fn_times <- arguments$times
  place$.fn_learnt <- lapply(arguments$learnt, as_column)
  for (name in names(arguments$grouped)) assign(name, as_column(arguments$grouped[[name]]), place)
  place
}

# Calls right of a bar give way to the factors that were sent for them, `labels` by name.
with_groups <- function(node, labels, right = FALSE) {
  if (!is.call(node) || !length(labels)) return(node)
  operator <- deparse1(node[[1]])
  if (right && !operator %in% c(":", "/", "(")) {
    found <- match(deparse1(node, control = NULL), labels)
    return(if (is.na(found)) node else as.name(names(labels)[found]))
  }
  for (i in seq_along(node)[-1]) {
    node[[i]] <- with_groups(node[[i]], labels, right || (i == 3 && operator %in% c("|", "||")))
  }
  node
}

model_formula <- function(arguments, place) {
  labels <- vapply(arguments$grouped, function(group) group$label, "")
  formula <- stats::as.formula(with_groups(str2lang(arguments$formula), labels), env = place)
  environment(formula) <- place
  if (!is.null(arguments$response)) formula[[2]] <- quote(.fn_response)
  formula
}

model_family <- function(arguments) {
  if (arguments$family == "nbinom2") return(do.call(MASS::negative.binomial, list(arguments$theta, arguments$link)))
  make <- getExportedValue("stats", arguments$family)
  do.call(make, c(list(link = arguments$link), if (!is.null(arguments$variance)) list(variance = arguments$variance)))
}

# Evaluated beside the formula, so that update() and refits find the same values again. `beside` is an offset that
# joins the formula, for a fitter without that argument.
run <- function(fitter, arguments, options = list(), beside = NULL) {
  place <- surroundings(arguments)
  formula <- model_formula(arguments, place)
  if (!is.null(beside)) formula[[3]] <- call("+", formula[[3]], call("offset", beside))
  common <- list(formula = formula, data = quote(.fn_data), na.action = quote(stats::na.fail))
  if (!is.null(arguments$weights)) common$weights <- quote(.fn_weights)
  if (!is.null(arguments$offset) && is.null(beside)) common$offset <- quote(.fn_offset)
  common$contrasts <- asked_contrasts(arguments)
  eval(as.call(c(list(fitter), common, options)), place)
}

# Contrasts by factor, NULL for none: names of R's functions, or matrices.
asked_contrasts <- function(arguments) {
  if (!length(arguments$contrasts)) return(NULL)
  lapply(arguments$contrasts, function(asked) {
    if (is.list(asked)) structure(asked$matrix, dimnames = if (length(asked$columns)) list(NULL, asked$columns)) else asked
  })
}

named <- function(x) if (is.null(names(x))) character() else names(x)

likelihood <- function(model) {
  value <- stats::logLik(model)
  list(loglik = as.double(value), n_parameters = as.double(attr(value, "df")))
}
