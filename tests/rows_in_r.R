# Each model of a list, fitted by lm(), glm() or glm.nb(): its sandwiches, influence, residuals and predictions, as JSON.
suppressPackageStartupMessages({library(sandwich); library(MASS)})
arguments <- commandArgs(TRUE)
data <- read.csv(arguments[1], stringsAsFactors = TRUE)
new <- read.csv(arguments[2], stringsAsFactors = TRUE)
models <- jsonlite::read_json(arguments[3])
options(warn = -1)

fitted_model <- function(model, rows) {
  formula <- as.formula(model$formula)
  arguments <- list(formula, data = data[rows, ])
  if (!is.null(model$weights)) arguments$weights <- as.name(model$weights)
  control <- glm.control(epsilon = 1e-10, maxit = 200) # R's tolerance of a rank is a thousandth of it
  if (model$family == "lm") return(do.call(lm, arguments))
  if (model$family == "nb") return(do.call(glm.nb, c(arguments, list(control = control))))
  arguments <- c(arguments, list(family = eval(parse(text = model$family)), control = control))
  m <- do.call(glm, arguments)
  for (again in 1:6) { # its working weights are those of the step before the last, so that step has to be none
    start <- coef(m)
    start[is.na(start)] <- 0
    m <- do.call(glm, c(arguments, list(start = start)))
  }
  m
}

try_or_null <- function(value) tryCatch(value, error = function(e) NULL)

sandwiches <- function(m, rows) {
  g <- data$g[rows]
  two <- data[rows, c("g", "h")]
  list(
    HC0 = vcovHC(m, "HC0"), HC1 = vcovHC(m, "HC1"), HC2 = vcovHC(m, "HC2"), HC3 = vcovHC(m, "HC3"),
    default = vcovCL(m, g), one_HC0 = vcovCL(m, g, type = "HC0"), one_HC1 = vcovCL(m, g, type = "HC1"),
    one_HC2 = try_or_null(vcovCL(m, g, type = "HC2")), one_HC3 = try_or_null(vcovCL(m, g, type = "HC3")),
    two_HC0 = vcovCL(m, two, type = "HC0"), two_HC1 = vcovCL(m, two, type = "HC1")
  )
}

measures <- function(m) {
  i <- influence(m)
  plain <- list(
    hat = i$hat, sigma = i$sigma, std_residual = rstandard(m), studentized_residual = rstudent(m),
    cooks_distance = cooks.distance(m), dffits = dffits(m), covratio = covratio(m)
  )
  c(plain, list(dfbeta = unname(dfbeta(m)), dfbetas = unname(dfbetas(m))))
}

kinds <- function(m) {
  words <- c("response", "pearson", "deviance", "working", "partial")
  found <- setNames(lapply(words, function(word) unname(residuals(m, word))), words)
  found[["standardized"]] <- unname(rstandard(m))
  found[["studentized"]] <- unname(rstudent(m))
  if (inherits(m, "glm")) found[["standardized pearson"]] <- unname(rstandard(m, type = "pearson"))
  found
}

predictions <- function(m) {
  both <- function(type) {
    p <- predict(m, new, type = type, se.fit = TRUE)
    list(fit = unname(p$fit), se = unname(p$se.fit), constant = attr(p$fit, "constant"))
  }
  found <- list(terms = both("terms"), response = both("response"))
  if (inherits(m, "glm")) return(c(found, list(link = both("link"))))
  c(found, list(
    confidence = unname(predict(m, new, interval = "confidence", level = 0.9)),
    prediction = unname(predict(m, new, interval = "prediction", level = 0.9)),
    weighted = unname(predict(m, new, interval = "prediction", weights = new$w))
  ))
}

one <- function(model) {
  rows <- if (is.null(model$weights)) rep(TRUE, nrow(data)) else data[[model$weights]] > 0
  m <- fitted_model(model, rep(TRUE, nrow(data)))
  used <- if (all(rows)) m else fitted_model(model, rows)
  list(
    coef = unname(coef(m)), theta = m$theta, sandwiches = sandwiches(used, rows), influence = measures(used),
    residuals = kinds(used), predict = predictions(m)
  )
}
answer <- lapply(models, one)
cat(jsonlite::toJSON(answer, digits = NA, na = "null", matrix = "rowmajor", auto_unbox = TRUE))
