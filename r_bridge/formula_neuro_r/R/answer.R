# The one door: run a function of this folder on a list of arguments; hand back its value, or why there
# is none, with every warning and message that R would have printed.

answer <- function(name, arguments) {
  heard <- character()
  note <- function(restart) function(condition) {
    heard <<- c(heard, trimws(conditionMessage(condition)))
    invokeRestart(restart)
  }
  # A user's profile may have other contrasts or hide missing values: here they are always R's own.
  before <- options(contrasts = c("contr.treatment", "contr.poly"), na.action = "na.fail", warn = 0)
  on.exit(options(before))
  result <- tryCatch(
    withCallingHandlers(
      list(status = "ok", value = get(name, envir = environment(answer), inherits = FALSE)(arguments)),
      warning = note("muffleWarning"), message = note("muffleMessage")
    ),
    missing_package = function(condition) list(status = "missing", package = condition$package, text = condition$message),
    interrupt = function(condition) list(status = "interrupt"),
    error = function(condition) list(status = "error", text = trimws(conditionMessage(condition)))
  )
  c(result, list(messages = unique(heard)))
}

# Load packages; one that is not there stops with a condition that names it.
need <- function(packages) {
  for (package in packages) {
    reason <- tryCatch({ loadNamespace(package); NULL }, error = function(e) conditionMessage(e))
    if (!is.null(reason)) {
      stop(structure(class = c("missing_package", "error", "condition"),
                     list(message = reason, call = NULL, package = package)))
    }
  }
}

# "lme4 1.1-31 (R 4.2.2)"; what is part of R itself has R's version.
versions <- function(packages) {
  own <- vapply(setdiff(packages, "stats"), function(p) paste(p, utils::packageDescription(p)$Version), "")
  if (!length(own)) return(sprintf("R %s", getRversion()))
  sprintf("%s (R %s)", paste(own, collapse = ", "), getRversion())
}

load_packages <- function(arguments) {
  need(arguments$packages)
  list(version = versions(arguments$packages))
}

# What was sent, as R holds it: how a transport shows that it changes nothing.
echo <- function(arguments) arguments

# In another character set R would spell names such as "M\u00e4use" as <U+00E4>. For the whole process, as
# Python does where only the C locale is set: strings outlive the call that made them.
for (name in c("C.UTF-8", "en_US.UTF-8", "UTF-8")) {
  if (l10n_info()[["UTF-8"]]) break
  suppressWarnings(Sys.setlocale("LC_CTYPE", name))
}
