# lme of nlme: grouping factors nested in one another, each with one or several blocks of random effects.

# The fixed columns are R's own of the formula without its bars; the random terms come as columns and codes, the
# outermost grouping first. All stand in one frame as single columns, because lme sorts its rows by group.
fit_nlme <- function(arguments) {
  need("nlme")
  parts <- fixed_part(arguments)
  kept <- qr(parts$X)
  kept <- sort(kept$pivot[seq_len(kept$rank)])
  X <- parts$X[, kept, drop = FALSE]
  own <- X[, colnames(X) != "(Intercept)", drop = FALSE]  # the intercept's degrees of freedom are special to lme
  frame <- c(list(.fn_y = parts$y), as_columns(own, ".fn_x"), nested_columns(arguments))
  if (!is.null(arguments$weights)) frame$.fn_inverse <- 1 / arguments$weights
  if (!is.null(arguments$spread)) frame$.fn_spread <- factor(arguments$spread$codes)
  if (!is.null(arguments$series)) frame[c(".fn_series", ".fn_time")] <- arguments$series[c("codes", "times")]
  frame <- structure(frame, row.names = .set_row_names(length(parts$y)), class = "data.frame")
  fixed <- sums(if (ncol(own) < ncol(X)) "1" else "0", paste0(".fn_x", seq_len(ncol(own)))[seq_len(ncol(own))])
  call <- list(
    quote(nlme::lme), fixed = stats::as.formula(paste(".fn_y ~", fixed), baseenv()), data = frame,
    random = lapply(arguments$groups, function(group) random_blocks(group$terms)),
    method = if (arguments$reml) "REML" else "ML", keep.data = FALSE,
    control = nlme::lmeControl(maxIter = 500, msMaxIter = 500, msMaxEval = 2000, apVar = FALSE)
  )
  if (!is.null(arguments$weights)) call$weights <- nlme::varFixed(~.fn_inverse)
  model <- eval(as.call(with_structure(call, arguments)))
  names <- c(colnames(X)[colnames(X) == "(Intercept)"], colnames(own))
  if (isTRUE(arguments$freedom)) return(list(names = names, df = as.double(model$fixDF$X)))
  with_residual(list_of_lme(model, arguments, parts$X, X, names), model, arguments)
}

# varIdent and corAR1; the series lie within the innermost grouping factor.
with_structure <- function(call, arguments) {
  if (is.null(arguments$spread) && is.null(arguments$series)) return(call)
  call$control <- nlme::lmeControl(maxIter = 500, msMaxIter = 500, msMaxEval = 5000, apVar = FALSE,
                                   tolerance = 1e-10, msTol = 1e-12)
  if (!is.null(arguments$spread)) {
    spread <- nlme::varIdent(form = ~1 | .fn_spread)
    call$weights <- if (is.null(call$weights)) spread else nlme::varComb(spread, call$weights)
  }
  if (!is.null(arguments$series)) {
    groups <- paste(c(names(arguments$groups), ".fn_series"), collapse = "/")
    call$correlation <- nlme::corAR1(form = stats::as.formula(paste("~ .fn_time |", groups), baseenv()))
    call$random <- c(call$random)
  }
  call
}

# Ratios to our first level, where nlme takes the first that it meets, with sigma to match; and phi.
with_residual <- function(answer, model, arguments) {
  found <- numeric()
  if (!is.null(arguments$spread)) {
    own <- model$modelStruct$varStruct
    if (inherits(own, "varComb")) own <- own[[1]]
    ratios <- stats::coef(own, unconstrained = FALSE, allCoef = TRUE)
    ratios <- ratios[order(as.integer(names(ratios)))]
    answer$sigma <- answer$sigma * ratios[[1]]
    found <- structure(ratios[-1] / ratios[[1]], names = arguments$spread$names)
  }
  if (!is.null(arguments$series)) {
    found <- c(found, phi = stats::coef(model$modelStruct$corStruct, unconstrained = FALSE)[[1]])
  }
  c(answer, list(residual = as.double(found), residual_names = named(found)))
}

list_of_lme <- function(model, arguments, all, X, names) {
  found <- structure(as.double(nlme::fixef(model)), names = names)
  beta <- structure(rep(NA_real_, ncol(all)), names = colnames(all))
  beta[names] <- found
  n <- nrow(X)
  parameters <- attr(stats::logLik(model), "df")
  list(
    names = colnames(all), beta = as.double(beta), kept = names, covariance = unname(as.matrix(stats::vcov(model))),
    matrix = unname(X), columns = colnames(X), loglik = as.double(stats::logLik(model)),
    n_parameters = as.double(parameters), deviance = -2 * as.double(stats::logLik(model)),
    df_resid = as.double(n - parameters), sigma = model$sigma, eta = as.double(stats::fitted(model)),
    converged = TRUE, iterations = 0, random = random_of_lme(model, arguments$groups)
  )
}

random_of_lme <- function(model, groups) {
  effects <- nlme::ranef(model)
  if (is.data.frame(effects)) effects <- list(effects)
  structures <- rev(lapply(model$modelStruct$reStruct, nlme::pdMatrix))  # lme keeps the innermost first
  items <- list()
  for (g in seq_along(groups)) {
    labels <- rownames(effects[[g]])
    rows <- match(as.character(model$groups[[g]]), labels)
    V <- structures[[g]] * model$sigma^2
    last <- 0
    for (term in groups[[g]]$terms) {
      at <- last + seq_len(ncol(term$basis))
      last <- max(at)
      items[[length(items) + 1]] <- list(
        group = term$name, columns = term$columns, levels = labels, codes = rows,
        covariance = unname(V[at, at, drop = FALSE]), modes = unname(t(as.matrix(effects[[g]][, at, drop = FALSE]))),
        about = rep(NA_real_, length(at)^2 * length(labels))
      )
    }
  }
  items
}

random_blocks <- function(terms) {
  blocks <- lapply(terms, function(term) {
    columns <- stats::as.formula(paste("~", sums("0", paste0(term$label, "_", seq_len(ncol(term$basis))))), baseenv())
    getExportedValue("nlme", term$structure)(columns)
  })
  if (length(blocks) == 1) blocks[[1]] else nlme::pdBlocked(unname(blocks))
}

nested_columns <- function(arguments) {
  columns <- list()
  for (name in names(arguments$groups)) {
    columns[[name]] <- factor(arguments$groups[[name]]$codes)
    for (term in arguments$groups[[name]]$terms) {
      columns <- c(columns, as_columns(term$basis, paste0(term$label, "_")))
    }
  }
  columns
}

as_columns <- function(matrix, stem) {
  columns <- lapply(seq_len(ncol(matrix)), function(i) as.double(matrix[, i]))
  structure(columns, names = paste0(rep(stem, length(columns)), seq_along(columns)))
}

sums <- function(...) paste(c(...), collapse = " + ")

# The response and R's columns of the formula without its random terms.
fixed_part <- function(arguments) {
  place <- surroundings(arguments)
  formula <- model_formula(arguments, place)
  right <- without_bars(formula[[3]])
  formula[[3]] <- if (is.null(right)) 1 else right
  frame <- stats::model.frame(formula, place$.fn_data, na.action = stats::na.fail)
  list(y = as.double(stats::model.response(frame)),
       X = stats::model.matrix(formula, frame, contrasts.arg = asked_contrasts(arguments)))
}

# An expression without its summands that hold a bar; NULL where nothing remains.
without_bars <- function(expression) {
  if (!any(c("|", "||") %in% all.names(expression))) return(expression)
  if (!is.call(expression) || !as.character(expression[[1]])[1] %in% c("+", "-", "(")) return(NULL)
  parts <- lapply(as.list(expression)[-1], without_bars)
  parts <- parts[!vapply(parts, is.null, NA)]
  if (!length(parts)) return(NULL)
  if (length(parts) == 1 && length(expression) == 3) return(parts[[1]])
  as.call(c(expression[[1]], parts))
}
