# From the arguments of a request to the call of a modelling function.

# Functions that our formulas know and that R keeps elsewhere or has not.
formula_words <- new.env(parent = as.environment("package:stats"))

# Calls that learn from the table take the values that were sent for them, if any: those of all rows.
learning <- function(own) {
  force(own)
  function(...) {
    sent <- get0(".fn_learnt", envir = parent.frame())[[deparse1(sys.call())]]
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
formula_words$ifelse <- function(test, yes, no) base::ifelse(test, texts(yes), texts(no))
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
  place$.fn_learnt <- lapply(arguments$learnt, as_column)
  place
}

model_formula <- function(arguments, place) {
  formula <- stats::as.formula(str2lang(arguments$formula), env = place)
  environment(formula) <- place
  if (!is.null(arguments$response)) formula[[2]] <- quote(.fn_response)
  formula
}

model_family <- function(arguments) {
  make <- getExportedValue("stats", arguments$family)
  do.call(make, list(link = arguments$link))
}

# Evaluated beside the formula, so that update() and refits find the same values again.
run <- function(fitter, arguments, options = list()) {
  place <- surroundings(arguments)
  common <- list(formula = model_formula(arguments, place), data = quote(.fn_data), na.action = quote(stats::na.fail))
  if (!is.null(arguments$weights)) common$weights <- quote(.fn_weights)
  if (!is.null(arguments$offset)) common$offset <- quote(.fn_offset)
  if (length(arguments$contrasts)) common$contrasts <- arguments$contrasts
  eval(as.call(c(list(fitter), common, options)), place)
}

named <- function(x) if (is.null(names(x))) character() else names(x)

likelihood <- function(model) {
  value <- stats::logLik(model)
  list(loglik = as.double(value), n_parameters = as.double(attr(value, "df")))
}
